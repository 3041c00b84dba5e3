"""Project URIs: what a text means, before anything is asked of a disk or a host."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from flowrun.errors import SourceError
from flowrun.sources.credentials import Credentials
from flowrun.valueclass import valueclass

_FORMS = "a path, file://, https://, ssh://, git:// or user@host:path"
_DEFAULT_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>\[[^\]/]+\]|[^:/\[\]@]+):(?P<path>[^-:].*)")
_PAGE = re.compile(
    r"(?P<repository>/.+(?=/-/)|/[^/]+/[^/]+)"
    r"/(?:-/)?(?P<kind>tree|blob|src/(?:branch|tag|commit))/(?P<rest>.+)"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@valueclass
class LocalUri:
    """A path on this machine: a directory, a repository or a zip file, or nothing at all."""

    path: Path
    subdir: str = ""


@valueclass
class GitUri:
    """A git repository; `url` holds no credentials."""

    url: str
    subdir: str = ""
    credentials: Credentials | None = None


@valueclass
class PageUri:
    """A page of a git host's web site that shows a folder, or the project file, of a repository."""

    repository: GitUri
    parts: tuple[str, ...]
    """The ref, which may hold slashes, and then the path: told apart by asking for the refs."""
    is_file: bool


@valueclass
class ZipUri:
    """A zip file on a web server; `url` may be shown, `query` may hold a signature."""

    url: str
    query: str = ""
    subdir: str = ""
    credentials: Credentials | None = None


ProjectUri = LocalUri | GitUri | PageUri | ZipUri


def parse_uri(text: str, cwd: Path) -> ProjectUri:
    """Take a project URI apart.

    Args:
        text: as typed, perhaps with `#subdir`, quotes around it, or `git+` before a scheme.
        cwd: what a relative path starts from.

    Raises:
        SourceError: it has none of the known forms, or could mean something harmful.
    """
    plain = text.strip().strip("'\"")
    if _CONTROL.search(plain):
        raise SourceError(f"{plain!r}: a project URI can't hold control characters")
    if plain.startswith("git+") and "://" in plain:
        plain = plain.removeprefix("git+")
    base, _, fragment = plain.partition("#")
    if not base:
        raise SourceError(f"{text!r}: no project", f"Give {_FORMS}.")
    if "://" in base:
        return _with_scheme(base, fragment)
    subdir = check_subdir(fragment)
    path = cwd / base
    scp = _SCP.fullmatch(base)
    if scp and not path.exists():
        return GitUri(_scp_url(scp), subdir)
    return LocalUri(path, subdir)


def shown_uri(text: str, cwd: Path) -> str:
    """Return a project URI in one spelling, absolute and without secrets.

    Args:
        text, cwd: as for `parse_uri`.

    Raises:
        SourceError: as `parse_uri`.
    """
    found = parse_uri(text, cwd)
    match found:
        case LocalUri():
            address = Path(posixpath.normpath(found.path)).as_uri()
        case PageUri():
            return f"{found.repository.url}#{'/'.join(found.parts)}"
        case _:
            address = found.url
    return f"{address}#{found.subdir}" if found.subdir else address


def check_subdir(text: str) -> str:
    """A `#subdir` in its shortest form: '' or names with single slashes between them.

    Raises:
        SourceError: it is absolute, climbs, or names git's own folder.
    """
    names = [name for name in text.split("/") if name not in {"", "."}]
    if text.startswith("/"):
        raise SourceError(f"#{text}: the folder must be relative to the repository")
    if ".." in names or "\\" in text or _CONTROL.search(text):
        raise SourceError(f"#{text}: the folder must lie inside the repository")
    if any(name.lower() == ".git" for name in names):
        raise SourceError(f"#{text}: .git is git's own folder, not a project")
    return "/".join(names)


def submodule_uri(parent: GitUri, url: str) -> GitUri:
    """Where a submodule of a repository is, by the URL in its .gitmodules.

    It is the word of a stranger: a repository on a host can't name paths of this machine, and
    gets its parent's credentials only for the very same host.

    Raises:
        SourceError: the URL is none that flowrun fetches from.
    """
    whole = joined(parent.url, url) if url.startswith(("./", "../")) else url
    if whole.startswith("/"):
        whole = Path(whole).as_uri()
    if "://" not in whole:
        scp = _SCP.fullmatch(whole)
        if scp is None or _CONTROL.search(whole):
            raise SourceError(
                f"{parent.url}: a submodule has the URL {url!r}, which is not allowed"
            )
        return GitUri(_scp_url(scp))
    if whole.startswith("file:"):
        if not parent.url.startswith("file:"):
            raise SourceError(
                f"{parent.url}: a submodule has the URL {url!r}, a path on this machine"
            )
        return GitUri(_file_path(urlsplit(whole), whole).as_uri())
    found = _git_uri(whole, "")
    same_host = parent.credentials and f"{found.url}/".startswith(f"{parent.credentials.scope}/")
    if same_host and found.credentials is None:
        return GitUri(found.url, "", parent.credentials)
    return found


def _with_scheme(base: str, fragment: str) -> ProjectUri:
    scheme = base.partition("://")[0].lower()
    if scheme == "file":
        return LocalUri(_file_path(_split(base), base), check_subdir(fragment))
    if scheme not in _DEFAULT_PORTS:
        raise SourceError(f"{scheme}://: flowrun does not fetch projects so", f"Give {_FORMS}.")
    if scheme in {"http", "https"}:
        parts = _split(base)
        if parts.path.lower().endswith(".zip"):
            url, credentials = _clean(parts)
            return ZipUri(url, parts.query, check_subdir(fragment), credentials)
        page = _page(parts, fragment)
        if page is not None:
            return page
    return _git_uri(base, check_subdir(fragment))


def _git_uri(text: str, subdir: str) -> GitUri:
    parts = _split(text)
    url, credentials = _clean(parts)
    if parts.scheme not in _DEFAULT_PORTS:
        raise SourceError(f"{url}: flowrun does not fetch projects so", f"Give {_FORMS}.")
    if parts.query:
        raise SourceError(
            f"{url}: a git URL has no ?query", "Choose a version with -v and a folder with #."
        )
    return GitUri(url, subdir, credentials)


def _page(parts: SplitResult, fragment: str) -> PageUri | None:
    """A URL copied from a browser: GitHub's, GitLab's (`/-/tree/`) or Gitea's (`/src/branch/`)."""
    match = _PAGE.fullmatch(parts.path.rstrip("/"))
    if match is None or match["repository"].endswith(".git"):
        return None
    url, credentials = _clean(parts._replace(path=match["repository"]))
    path = tuple(unquote(part) for part in match["rest"].split("/"))
    is_file = match["kind"] == "blob" or path[-1].lower() == "mlproject"
    below = check_subdir("" if is_file or re.fullmatch(r"L\d+.*", fragment) else fragment)
    check_subdir("/".join(path))
    return PageUri(
        GitUri(url, "", credentials), path + tuple(below.split("/") * bool(below)), is_file
    )


def _clean(parts: SplitResult) -> tuple[str, Credentials | None]:
    """The URL in one spelling and without secrets, and the secrets."""
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    if not _HOST.fullmatch(host):
        raise SourceError(f"{parts.scheme}://{host}{parts.path}: {host!r} is no name of a host")
    port = _port(parts, host)
    place = host if port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f"{host}:{port}"
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._")
    scope = f"{parts.scheme}://{place}"
    if parts.scheme == "ssh":
        user = parts.username
        if user and not _USER.fullmatch(user):
            raise SourceError(f"{scope}{path}: {user!r} is no name of a user")
        return f"ssh://{user + '@' if user else ''}{place}{path}", None
    if not parts.username and not parts.password:
        return scope + path, None
    secret = Credentials(scope, unquote(parts.username or ""), unquote(parts.password or ""))
    if _CONTROL.search(secret.username + secret.password):
        raise SourceError(f"{scope}{path}: the credentials hold control characters")
    return scope + path, secret


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError as error:
        # The text is not shown: it may hold a token.
        raise SourceError(f"the project's URL can't be read: {error}") from None


def _port(parts: SplitResult, host: str) -> int | None:
    try:
        return parts.port
    except ValueError as error:
        raise SourceError(f"{parts.scheme}://{host}: {error}") from None


def _scp_url(match: re.Match[str]) -> str:
    user, host, path = match["user"], match["host"], match["path"]
    if not _HOST.fullmatch(host) or (user and not _USER.fullmatch(user)):
        raise SourceError(f"{match[0]}: this is neither a path that exists nor user@host:path")
    return f"{user + '@' if user else ''}{host}:{path.rstrip('/')}"


def _file_path(parts: SplitResult, text: str) -> Path:
    if parts.netloc not in {"", "localhost"}:
        raise SourceError(f"{text}: a file URL has three slashes", "Write file:///folder/project.")
    path = unquote(parts.path)
    if _CONTROL.search(path):
        raise SourceError(f"{path!r}: a path can't hold control characters")
    return Path(path)


def joined(base: str, relative: str) -> str:
    """Join a relative URL to a repository's, as git does: names go off its end, then its host."""
    separator = "/"
    base = base.rstrip("/")
    while relative.startswith(("./", "../")):
        if relative.startswith("../"):
            head, slash, _ = base.rpartition("/")
            if not slash or head.endswith((":/", ":")) or not head:
                head, separator, _ = base.rpartition(":")
            if not head:
                break
            base = head
        relative = relative.partition("/")[2]
    return f"{base}{separator}{relative}"
