#!/usr/bin/env bash
# Installs the programs that the tests start and that no package index has: PostgreSQL's, Docker's, an image
# registry's, a browser.
# Does nothing where they are there. For Debian and its kin; elsewhere it says what to install.
set -euo pipefail

missing=()
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing+=(postgresql)
command -v dockerd >/dev/null || docker version >/dev/null 2>&1 || missing+=(docker.io)
command -v docker-registry >/dev/null || missing+=(docker-registry)
command -v chromium >/dev/null || missing+=(chromium)
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
  echo "The tests need ${missing[*]}: install what has these names on Debian, then try again." >&2
  exit 1
fi
# The tests start servers of their own: PostgreSQL's package makes none.
"${as_root[@]}" mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' | "${as_root[@]}" tee -a /etc/postgresql-common/createcluster.conf >/dev/null
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}"
