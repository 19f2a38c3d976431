"""A small Hugging Face Hub on loopback: what the real `huggingface_hub` client needs to publish and to load.

It keeps what it gets in memory and speaks the Hub's HTTP interface: create, preupload, LFS batch, upload and verify,
commit, revisions, branches, tags, pull requests, tree and resolve. `fail` makes the next requests of a stage go wrong.
It offers LFS only: a client with hf_xet is told that there is no Xet storage, and has to upload over HTTP.

    with LoopbackHub() as hub:
        os.environ |= hub.environment("hf_some_token")
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, unquote

import yaml

from helpers.loopback_http import Handler, HubError

# Files that the Hub keeps in large file storage, by their ending.
LFS_ENDINGS = (".safetensors", ".parquet", ".wav", ".png", ".bin")
INITIAL_FILES = {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}


@dataclass
class User:
    """Who a token belongs to."""

    name: str
    role: str = "write"
    orgs: tuple[str, ...] = ()


@dataclass
class Commit:
    """A revision of a repo: all its files, path -> content."""

    oid: str
    title: str
    files: dict[str, bytes]


@dataclass
class Repo:
    """A repo: its revisions by name (branch, tag, refs/pr/1) and by oid."""

    private: bool
    sdk: str | None = None
    gated: bool = False
    refs: dict[str, Commit] = field(default_factory=dict)
    tags: dict[str, Commit] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)

    def find(self, revision):
        """The commit of a branch, tag or oid; None if there is none."""
        by_oid = {commit.oid: commit for commit in self.commits}
        return self.refs.get(revision) or self.tags.get(revision) or by_oid.get(revision)

    def add(self, title, files, ref):
        """Appends a commit to a branch."""
        oid = hashlib.sha1(f"{len(self.commits)}{title}".encode()).hexdigest()
        self.refs[ref] = Commit(oid, title, dict(files))
        self.commits.append(self.refs[ref])
        return self.refs[ref]


class LoopbackHub:
    """The server; use it as a context manager.

    Args:
        users: Token -> [`User`].
        others: Namespaces that exist and belong to somebody else.
    """

    def __init__(self, users, others=("stranger",)):
        self.users, self.others = users, others
        self.repos, self.storage, self.faults, self.requests = {}, {}, [], []
        self.lock = threading.RLock()

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()

    def environment(self, token=None):
        """The variables that make `huggingface_hub` speak with this server."""
        variables = {"HF_ENDPOINT": self.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        return variables | ({"HF_TOKEN": token} if token else {})

    def fail(self, stage, fault, times=1):
        """Makes the next requests of a stage fail.

        Args:
            stage: A name in `ROUTES`, such as "upload" or "commit".
            fault: A status such as 429 or 500; "cut", the connection breaks off in the middle of the request; "lost",
                the request is carried out but its answer never arrives; "late", the connection breaks off and the
                request is carried out a second later.
            times: How many requests.
        """
        self.faults += [(stage, fault)] * times

    def commits(self, kind, name):
        """Titles of all commits of a repo, the first is the Hub's own; an empty list if there is no such repo."""
        repo = self.repos.get((kind, name))
        return [commit.title for commit in repo.commits] if repo else []

    def files(self, kind, name, revision="main"):
        """Path -> content at a revision, without the Hub's own .gitattributes."""
        return {p: c for p, c in self.repos[kind, name].find(revision).files.items() if p not in INITIAL_FILES}

    # ---------------------------------------------------------------------------------------------------- the answers

    def whoami(self, request):
        if request.user is None:
            raise HubError(401, "Invalid username or password.")
        return {
            "type": "user",
            "name": request.user.name,
            "orgs": [{"name": org} for org in request.user.orgs],
            "auth": {"type": "access_token", "accessToken": {"displayName": "test", "role": request.user.role}},
        }

    def create(self, request):
        body = json.loads(request.body)
        kind = body.get("type", "model") + "s"
        namespace = body["organization"] or request.user.name
        name = f"{namespace}/{body['name']}"
        if namespace not in (request.user.name, *request.user.orgs, *self.others):
            raise HubError(404, "Namespace not found")
        self.check_write(request, name)
        url = f"{self.url}/{'' if kind == 'models' else kind + '/'}{name}"
        if (kind, name) in self.repos:
            raise HubError(409, json.dumps({"error": "You already created this repo", "url": url}))
        repo = self.repos[kind, name] = Repo(body.get("visibility") == "private" or body.get("private", False))
        repo.sdk = body.get("sdk")
        repo.add("initial commit", INITIAL_FILES, "main")
        return {"url": url, "name": name}

    def delete(self, request):
        body = json.loads(request.body)
        kind, name = body.get("type", "model") + "s", f"{body['organization'] or request.user.name}/{body['name']}"
        self.check_write(request, name)
        if (kind, name) not in self.repos:
            raise HubError(404, "Repository not found", "RepoNotFound")
        del self.repos[kind, name]
        return {}

    def validate(self, request):
        content = json.loads(request.body)["content"]
        match = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        if not match:
            return {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]}
        try:
            loaded = yaml.safe_load(match[1])
        except yaml.YAMLError as error:
            raise HubError(400, json.dumps({"errors": [{"message": str(error)}]})) from error
        if not isinstance(loaded, dict):
            raise HubError(400, json.dumps({"errors": [{"message": "metadata is no mapping"}]}))
        return {"errors": [], "warnings": []}

    def info(self, request):
        repo, commit = self.find(request)
        name = request.at["name"]
        return {
            "_id": "0" * 24,
            "id": name,
            "modelId": name,
            "author": name.split("/")[0],
            "sha": commit.oid,
            "private": repo.private,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "lastModified": "2024-01-01T00:00:00.000Z",
            "createdAt": "2024-01-01T00:00:00.000Z",
            "sdk": repo.sdk,
            "siblings": [{"rfilename": path} for path in commit.files],
        }

    def refs(self, request):
        repo, _ = self.find(request)
        pulls = {name: commit for name, commit in repo.refs.items() if name.startswith("refs/pr/")}
        branches = {name: commit for name, commit in repo.refs.items() if name not in pulls}
        rows = {
            key: [{"name": name, "ref": prefix + name, "targetCommit": commit.oid} for name, commit in refs.items()]
            for key, prefix, refs in (
                ("branches", "refs/heads/", branches),
                ("tags", "refs/tags/", repo.tags),
                ("pullRequests", "", pulls),
            )
        }
        return rows | {"converts": []}

    def log(self, request):
        repo, _ = self.find(request)
        about = {"message": "", "authors": [{"user": "me"}], "date": "2024-01-01T00:00:00.000Z"}
        return [{"id": commit.oid, "title": commit.title, **about} for commit in reversed(repo.commits)]

    def tree(self, request):
        _, commit = self.find(request)
        folder = unquote(request.at["path"] or "")
        inside = [path for path in commit.files if not folder or path.startswith(folder + "/")]
        if folder and not inside:
            raise HubError(404, "Entry not found", "EntryNotFound")
        if request.query.get("recursive", ["false"])[0].lower() not in ("true", "1"):
            start = len(folder) + 1 if folder else 0
            folders = sorted({path[: path.index("/", start)] for path in inside if "/" in path[start:]})
            inside = [path for path in inside if "/" not in path[start:]]
            return [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders] + [
                entry_of(path, commit.files[path]) for path in inside
            ]
        return [entry_of(path, commit.files[path]) for path in inside]

    def paths(self, request):
        _, commit = self.find(request)
        wanted = parse_qs(request.body.decode())["paths"]
        folders = [path for path in wanted if any(file.startswith(path.rstrip("/") + "/") for file in commit.files)]
        return [entry_of(path, commit.files[path]) for path in wanted if path in commit.files] + [
            {"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders
        ]

    def preupload(self, request):
        _, commit = self.find(request)
        self.check_write(request, request.at["name"])
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LFS_ENDINGS) else "regular",
                    "shouldIgnore": False,
                    "oid": oid_of(file["path"], commit.files[file["path"]]) if file["path"] in commit.files else None,
                }
                for file in json.loads(request.body)["files"]
            ]
        }

    def batch(self, request):
        self.check_write(request, request.at["name"])
        objects = []
        for item in json.loads(request.body)["objects"]:
            if item["oid"] not in self.storage:
                href = f"{self.url}/storage/"
                item["actions"] = {"upload": {"href": href + item["oid"]}, "verify": {"href": href + "verify"}}
            objects.append(item)
        return {"transfer": "basic", "objects": objects}

    def upload(self, request):
        if hashlib.sha256(request.body).hexdigest() != request.at["oid"]:
            raise HubError(400, "content does not match its oid")
        self.storage[request.at["oid"]] = request.body
        return {}

    def verify(self, request):
        if json.loads(request.body)["oid"] not in self.storage:
            raise HubError(404, "no such object")
        return {}

    def commit(self, request):
        self.check_write(request, request.at["name"])
        header, *operations = map(json.loads, request.body.splitlines())
        with self.lock:
            repo, commit = self.find(request)
            if header["value"].get("parentCommit", commit.oid) != commit.oid:
                raise HubError(412, "A commit has happened since. Please refresh and try again.")
            files = dict(commit.files)
            for operation in operations:
                value = operation["value"]
                if operation["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif operation["key"] == "lfsFile":
                    if value["oid"] not in self.storage:
                        raise HubError(400, f"{value['path']} was never uploaded")
                    files[value["path"]] = self.storage[value["oid"]]
                else:
                    del files[value["path"]]
            as_request = request.query.get("create_pr") == ["1"]
            pull = f"refs/pr/{sum(ref.startswith('refs/pr/') for ref in repo.refs) + 1}"
            made = repo.add(header["value"]["summary"], files, pull if as_request else unquote(request.at["revision"]))
        url = f"{self.url}/{request.at['name']}"
        request_url = f"{url}/discussions/{pull.split('/')[-1]}" if as_request else None
        return {
            "success": True,
            "commitOid": made.oid,
            "commitUrl": f"{url}/commit/{made.oid}",
            "pullRequestUrl": request_url,
        }

    def branch(self, request):
        self.check_write(request, request.at["name"])
        repo = self.repos[request.at["kind"], request.at["name"]]
        repo.refs[unquote(request.at["revision"])] = repo.refs["main"]
        return {}

    def delete_branch(self, request):
        self.check_write(request, request.at["name"])
        del self.repos[request.at["kind"], request.at["name"]].refs[unquote(request.at["revision"])]
        return {}

    def xet(self, request):
        raise HubError(404, "There is no Xet storage here")

    def tag(self, request):
        self.check_write(request, request.at["name"])
        repo, commit = self.find(request)
        tag = json.loads(request.body)["tag"]
        if tag in repo.tags:
            raise HubError(409, "Tag already exists")
        repo.tags[tag] = commit
        return {}

    def resolve(self, request):
        _, commit = self.find(request)
        path = unquote(request.at["path"])
        if path not in commit.files:
            raise HubError(404, "Entry not found", "EntryNotFound")
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{oid_of(path, commit.files[path])}"'}
        return commit.files[path], headers

    # ----------------------------------------------------------------------------------------------------------- help

    def find(self, request):
        """The repo and the commit that a request names."""
        kind, name = request.at["kind"] or "models", request.at["name"]
        repo = self.repos.get((kind, name))
        owner = name.split("/")[0]
        if repo is None or (repo.private and (not request.user or owner not in self.namespaces(request.user))):
            raise HubError(404, "Repository not found", "RepoNotFound")
        if repo.gated:
            raise HubError(403, f"Access to {name} is restricted", "GatedRepo")
        commit = repo.find(unquote(request.at.get("revision") or "main"))
        if commit is None:
            raise HubError(404, "Revision not found", "RevisionNotFound")
        return repo, commit

    @staticmethod
    def namespaces(user):
        """Where a user may write, if the token may write at all."""
        return (user.name, *user.orgs)

    def check_write(self, request, name):
        """Refuses those who may not write to a repo of this name."""
        user = request.user
        if user is None:
            raise HubError(401, "Invalid username or password.")
        if user.role != "write" or name.split("/")[0] not in self.namespaces(user):
            raise HubError(403, "You don't have the required permissions to perform this action.")


def entry_of(path, content):
    """A file as the tree lists it."""
    entry = {"type": "file", "path": path, "size": len(content), "oid": git_oid(content)}
    if path.endswith(LFS_ENDINGS):
        oid = hashlib.sha256(content).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n".encode()
        entry |= {"oid": git_oid(pointer), "lfs": {"oid": oid, "size": len(content), "pointerSize": len(pointer)}}
    return entry


def oid_of(path, content):
    """What preupload says of a file that is there: the sha256 of a large one, else git's name."""
    return hashlib.sha256(content).hexdigest() if path.endswith(LFS_ENDINGS) else git_oid(content)


def git_oid(content):
    """Git's name for a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
