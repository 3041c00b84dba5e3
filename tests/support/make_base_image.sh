#!/usr/bin/env bash
# Make a small Docker image (glibc, sh, a few tools, Python with pip) from this machine's own
# own files.  No registry, no debootstrap.
#   make_base_image.sh [TAG] [PYTHON_EXE]
# TAG defaults to flowrun-test/python:<x.y>, PYTHON_EXE to python3 on PATH (pyenv and /usr/local
# trees; not Debian's /usr/bin/python3).  Prints the image id.  About 3 s, 90 MB.
set -euo pipefail
py=${2:-$(command -v python3)}
read -r prefix xy < <("$py" -I -c 'import sys; print(sys.base_prefix, "%d.%d" % sys.version_info[:2])')
[ "$prefix" != /usr ] || { echo "need a CPython tree of its own, not $prefix" >&2; exit 2; }
tag=${1:-flowrun-test/python:$xy}
root=$(mktemp -d); trap 'rm -rf "$root"' EXIT

mkdir -p "$root"/{bin,etc,lib,lib64,root,run,usr/bin,usr/lib,usr/local/bin,usr/local/lib,var/lib,home/user,work}
install -d -m 1777 "$root"/tmp "$root"/var/tmp

# programs: sh, and the tools that a step's shell command tends to use
progs="sh dash bash cat ls cp mv rm mkdir rmdir ln chmod chown touch env echo printf test sleep true
false id whoami pwd head tail wc sort uniq tr cut date uname hostname nproc kill tee basename dirname
mktemp readlink realpath du df dd timeout stat md5sum sha256sum seq yes grep sed awk mawk find xargs
tar gzip ps"
for p in $progs; do
  src=$(type -P "$p" || true)
  case $src in /*) src=$(readlink -f "$src"); cp -f "$src" "$root/usr/bin/$p" ;; esac
done
rmdir "$root/bin"; ln -s usr/bin "$root/bin"
ln -sf dash "$root/usr/bin/sh"

# python: a trimmed copy of the tree below /usr/local
site=usr/local/lib/python$xy/site-packages
cp -a "$prefix/bin/python$xy" "$root/usr/local/bin/"
ln -s "python$xy" "$root/usr/local/bin/python3"; ln -s python3 "$root/usr/local/bin/python"
cp -a "$prefix"/lib/libpython"$xy"*.so* "$root/usr/local/lib/" 2>/dev/null || true
tar -C "$prefix/lib" --exclude="python$xy/site-packages" --exclude="python$xy/test" \
    --exclude="python$xy/config-*" --exclude="python$xy/idlelib" --exclude="python$xy/tkinter" \
    --exclude="python$xy/lib2to3" --exclude="python$xy/turtledemo" --exclude=__pycache__ \
    --exclude='*/tests' -cf - "python$xy" | tar -C "$root/usr/local/lib" -xf -
mkdir -p "$root/$site"
whl=("$prefix/lib/python$xy"/ensurepip/_bundled/pip-*.whl)
"$py" -I -m zipfile -e "${whl[0]}" "$root/$site"
printf '#!/usr/local/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n' \
  | tee "$root/usr/local/bin/pip3" > "$root/usr/local/bin/pip"
chmod 755 "$root"/usr/local/bin/pip*

# every shared library that those need, at the path where the loader looks for it
{ find "$root" -type f \( -perm -u+x -o -name '*.so*' \) -print0 | xargs -0 -n 64 ldd 2>/dev/null \
    || true; } | awk '$2=="=>" && $3 ~ "^/" {print $3} $1 ~ "^/lib64/ld-linux" {print $1}' \
  | grep -v "^$prefix" | sort -u > "$root/.libs"
while read -r lib; do
  mkdir -p "$root$(dirname "$lib")"; cp -L "$lib" "$root$lib"
done < "$root/.libs"; rm "$root/.libs"
# dlopen()ed ones, and what manylinux wheels may ask for (glibc's old stubs, C++ and OpenMP runtimes)
for n in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2 libpthread.so.0 libdl.so.2 librt.so.1 \
         libutil.so.1 libm.so.6 libgcc_s.so.1 libstdc++.so.6 libgomp.so.1; do
  f=/lib/x86_64-linux-gnu/$n; [ -e $f ] || f=/usr/lib/x86_64-linux-gnu/$n
  [ ! -e $f ] || cp -Ln $f "$root/lib/x86_64-linux-gnu/"
done

# the absolute RPATH of a pyenv python points at its own prefix: /usr/local/lib goes to ld.so.cache
echo /usr/local/lib > "$root/etc/ld.so.conf"; ldconfig -r "$root"
# certificates of the host (with any CA that its network needs), names, users
mkdir -p "$root/etc/ssl/certs"; cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\nuser:x:1000:1000::/home/user:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\nuser:x:1000:\n' > "$root/etc/group"
printf 'hosts: files dns\npasswd: files\ngroup: files\n' > "$root/etc/nsswitch.conf"
chown 1000:1000 "$root/home/user"
for f in terminfo/x/xterm terminfo/d/dumb; do [ ! -e /lib/$f ] || install -D /lib/$f "$root/lib/$f"; done
echo 'PRETTY_NAME="flowrun test base (host files)"' > "$root/etc/os-release"

tar -C "$root" --numeric-owner -cf - . | docker import \
  -c 'ENV PATH=/usr/local/bin:/usr/bin:/bin' -c 'ENV LANG=C.UTF-8' -c 'ENV PYTHONUNBUFFERED=1' \
  -c 'ENV PIP_DISABLE_PIP_VERSION_CHECK=1' -c 'ENV PIP_ROOT_USER_ACTION=ignore' \
  -c 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
  -c 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' \
  -c 'ENV REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt' \
  -c 'WORKDIR /work' -c 'CMD ["python3"]' - "$tag"
docker image inspect -f '{{index .RepoTags 0}} {{.Size}} bytes' "$tag" >&2
