"""Brings a staged folder to the Hub: compares first, then makes one commit, or none where nothing changed."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import httpx2
import huggingface_hub
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, RepoFile, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id
from huggingface_hub.utils._http import default_client_factory
from huggingface_hub.utils.sha import git_hash, sha_fileobj

ATTEMPTS = 3
# Seconds before the repo is looked at again after a commit that was not answered, and how often: the Hub may still be
# at work on it.
PATIENCE = (0.5, 1.5, 4.0)
# Seconds that the Hub may take to begin its answer; huggingface_hub itself would wait for ever.
TIMEOUT_S = 300
KEPT = ".gitattributes"  # the Hub's own, made with the repo
# What a request may end with. OSError is what hf_xet raises, and huggingface_hub where there is no token.
FAILURES = (HfHubHTTPError, httpx2.HTTPError, OSError, RuntimeError, ValueError)
TOKEN = re.compile(r"\b(?:hf|api_org)_(?:oauth_|jwt_)?[A-Za-z0-9.-]{16,}")


class PublishError(Exception):
    """What keeps something from being published, in one line that says what to do."""


@dataclass(frozen=True)
class Target:
    """Where to publish.

    Attributes:
        repo_id: ORG/NAME.
        repo_type: "model", "dataset" or "space".
        marker: A file that repos of this sort have; a repo with other files and without it is somebody's other work.
        private: Whether a repo that has to be made is private.
        revision: Branch; made from main if it is missing.
        create_pr: Whether to open a pull request in place of committing.
        tag: Tag to put on the published revision.
        space_sdk: Of a Space.
    """

    repo_id: str
    repo_type: str
    marker: str
    private: bool = False
    revision: str = "main"
    create_pr: bool = False
    tag: str | None = None
    space_sdk: str | None = None

    def __post_init__(self):
        try:
            validate_repo_id(self.repo_id)
        except HFValidationError as error:
            raise PublishError(f"{self.repo_id!r} is no name for a repo: {str(error).splitlines()[0]}") from error
        if "/" not in self.repo_id:
            raise PublishError(f"--repo_id is {self.repo_id!r}; expected ORG/NAME, the owner and the repo's name.")

    @property
    def where(self) -> dict[str, str]:
        """The arguments by which huggingface_hub's functions find the repo."""
        return {"repo_id": self.repo_id, "repo_type": self.repo_type}


@dataclass(frozen=True)
class Outcome:
    """What publishing came to: the revision's oid and address, the paths written and deleted (none: no commit)."""

    oid: str
    url: str
    written: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


def redact(text: str) -> str:
    """The text without anything that looks like a token of the Hub."""
    return TOKEN.sub("hf_***", text)


def publish(folder: Path, target: Target, message: str, say: Callable[[str], None] = print) -> Outcome:
    """Makes the repo's files those of the folder, in one commit; in none if they are that already.

    The commit names its parent, so that it cannot be made twice, nor over one that came in between. One that was not
    answered is looked for in the repo before it is tried again. Large files go to the Hub's Xet storage where hf_xet is
    installed, and over HTTP (LFS) where it is not, HF_HUB_DISABLE_XET is set, or that storage cannot be used; hf_xet
    itself tries for minutes before it gives up on a server that fails.

    Args:
        folder: The staged folder; all its files are published.
        target: Where.
        message: Of the commit.
        say: Prints progress.

    Returns:
        What was done.

    Raises:
        PublishError: If the Hub refuses, the repo is somebody's other work, or the connection fails for good. The repo
            is then as it was before: what was made for this commit (the repo, the branch) is removed again, or the
            message says that this failed, too. An interrupt (Ctrl-C) removes nothing.
    """
    huggingface_hub.set_client_factory(_client)
    api, made = HfApi(), []
    try:
        user = with_retries(api.whoami)
        check_user(user)
        head = open_repo(api, target, made)
        tags = {tag.name: tag.target_commit for tag in with_retries(lambda: api.list_repo_refs(**target.where)).tags}
        remote = remote_files(api, target, head)
        if target.marker not in remote and set(remote) - {KEPT, "README.md"}:
            raise PublishError(
                f"{target.repo_id} is taken: it has files but no {target.marker}, so it is no {target.repo_type} of "
                "this project. Choose another --repo_id."
            )
        written, deleted = difference(folder, remote)
        changed = bool(written or deleted)
        if target.tag in tags and (changed or tags[target.tag] != head):
            raise PublishError(
                f"The tag {target.tag} exists already, at {tags[target.tag][:10]}. Choose another --tag, or delete it."
            )
        if changed:
            say(f"{len(written)} files to write, {len(deleted)} to delete in {target.repo_id}")
            head, url = commit(api, target, folder, head, written, deleted, message, say)
        else:
            url = address(api, target)
    except (PublishError, *FAILURES) as error:
        reason = str(error) if isinstance(error, PublishError) else explain(error, target)
        raise PublishError(" ".join([reason, *undo(api, target, made)])) from error
    if target.tag and target.tag not in tags:
        try:
            with_retries(lambda: api.create_tag(**target.where, tag=target.tag, revision=head, exist_ok=True))
        except FAILURES as error:
            raise PublishError(
                f"The files are published ({url}), the tag {target.tag} is not ({short(error)}). Repeat the command."
            ) from error
    return Outcome(head, url, tuple(written), tuple(deleted))


def undo(api: HfApi, target: Target, made: Sequence[str]) -> list[str]:
    """Removes the repo or the branch that was made for a commit that never came; sentences on what is left of them.

    Only what holds nothing but the Hub's own first commit is removed.
    """
    left = []
    for what in reversed(made):
        try:
            refs = with_retries(lambda: api.list_repo_refs(**target.where, include_pull_requests=True))
            heads = {ref.name: ref.target_commit for ref in [*refs.branches, *refs.pull_requests]}
            main = heads.get("main")
            if what == "branch" and heads.get(target.revision) == main:
                with_retries(lambda: api.delete_branch(**target.where, branch=target.revision))
            elif what == "repo" and set(heads.values()) == {main}:
                if len(with_retries(lambda: api.list_repo_commits(**target.where))) == 1:
                    with_retries(lambda: api.delete_repo(**target.where, missing_ok=True))
        except (RepositoryNotFoundError, RevisionNotFoundError):
            continue  # it was not even made
        except FAILURES as error:
            left.append(f"The {what} that this made may be left there, empty ({short(error)}).")
    return left


def address(api: HfApi, target: Target) -> str:
    """The repo's page."""
    prefix = "" if target.repo_type == "model" else f"{target.repo_type}s/"
    return f"{api.endpoint}/{prefix}{target.repo_id}"


def check_user(user: dict) -> None:
    """Refuses a token that can only read.

    Raises:
        PublishError: If it can.
    """
    if user.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise PublishError(
            f"The token of {user['name']} can only read. Make one that can write at "
            "https://huggingface.co/settings/tokens and log in with `hf auth login`."
        )


def open_repo(api: HfApi, target: Target, made: list[str]) -> str:
    """Finds the repo and the branch, or makes them; the oid of the branch's newest commit.

    Args:
        api: The client.
        target: Where.
        made: Gets "repo" or "branch" before either is made.

    Raises:
        PublishError: If the repo is there and public, and was to be private.
    """
    try:
        repo = with_retries(lambda: api.repo_info(**target.where))
    except GatedRepoError:  # a kind of RepositoryNotFoundError
        raise
    except RepositoryNotFoundError:
        made.append("repo")
        sdk = {"space_sdk": target.space_sdk} if target.space_sdk else {}
        # exist_ok: a repeated request of ours may have been answered the first time
        with_retries(lambda: api.create_repo(**target.where, private=target.private, exist_ok=True, **sdk))
        repo = with_retries(lambda: api.repo_info(**target.where))
    if target.private and not repo.private:
        raise PublishError(
            f"{target.repo_id} is public already: --private cannot hide it. Change that in its settings on the Hub."
        )
    if target.revision == "main":
        return repo.sha
    try:
        return newest(api, target)
    except RevisionNotFoundError:
        made.append("branch")
        with_retries(lambda: api.create_branch(**target.where, branch=target.revision, exist_ok=True))
        return newest(api, target)


def newest(api: HfApi, target: Target) -> str:
    """The oid of the branch's newest commit."""
    return with_retries(lambda: api.repo_info(**target.where, revision=target.revision)).sha


def remote_files(api: HfApi, target: Target, revision: str) -> dict[str, RepoFile]:
    """Path -> entry of all files of a revision."""
    entries = with_retries(lambda: list(api.list_repo_tree(**target.where, recursive=True, revision=revision)))
    return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


def difference(folder: Path, remote: dict[str, RepoFile]) -> tuple[list[str], list[str]]:
    """The paths whose content differs from the folder's, and those that the folder has not."""
    local = {path.relative_to(folder).as_posix(): path for path in files_of(folder)}
    written = [name for name, path in local.items() if name not in remote or not is_same(path, remote[name])]
    return written, sorted(set(remote) - set(local) - {KEPT})


def files_of(folder: Path) -> list[Path]:
    """All files below a folder, sorted."""
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def is_same(path: Path, entry: RepoFile) -> bool:
    """Whether a local file has the content of one on the Hub."""
    if path.stat().st_size != entry.size:
        return False
    if entry.lfs:
        with open(path, "rb") as file:
            return sha_fileobj(file).hex() == entry.lfs.sha256
    return git_hash(path.read_bytes()) == entry.blob_id


def commit(api, target, folder, head, written, deleted, message, say) -> tuple[str, str]:
    """Commits, and where the answer stays away finds out whether it was done; oid and address."""
    for attempt in range(1, ATTEMPTS + 1):
        operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name) for name in written]
        operations += [CommitOperationDelete(path_in_repo=name) for name in deleted]
        try:
            done = api.create_commit(
                **target.where,
                operations=operations,
                commit_message=message,
                revision=target.revision,
                create_pr=target.create_pr,
                parent_commit=head,
            )
        except FAILURES as error:
            if is_of_xet(error):
                say(f"Xet storage cannot be used ({short(error)}); uploading over HTTP")
                constants.HF_HUB_DISABLE_XET = True
                return commit(api, target, folder, head, written, deleted, message, say)
            if not (is_passing(error) or status_of(error) in (409, 412)) or target.create_pr:
                raise  # a pull request cannot be recognised as ours: better none than two
            say(f"No answer to the commit ({short(error)}); looking whether it was made")
            for pause in PATIENCE:
                now = newest(api, target)
                if now != head:
                    break
                time.sleep(pause)
            if now != head:
                if any(difference(folder, remote_files(api, target, now))):
                    raise PublishError(
                        f"Somebody else committed to {target.repo_id} in the meantime. Look at it, then repeat."
                    ) from error
                return now, f"{address(api, target)}/commit/{now}"
            if attempt == ATTEMPTS:
                raise
        else:
            return done.oid, done.pr_url or done.commit_url


def with_retries(request: Callable):
    """Calls a function that does no harm when it is called twice, again if the connection or the Hub fails."""
    for pause in PATIENCE:
        try:
            return request()
        except (HfHubHTTPError, httpx2.HTTPError) as error:
            if not is_passing(error):
                raise
            time.sleep(pause)
    return request()


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    return any(isinstance(e, httpx2.TransportError) for e in causes(error)) or status_of(error) in (
        408,
        429,
        *range(500, 600),
    )


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error, if there is one."""
    return next((e.response.status_code for e in causes(error) if isinstance(e, httpx2.HTTPStatusError)), None)


def is_of_xet(error: BaseException) -> bool:
    """Whether the upload to Xet storage failed, which speaks with a server of its own and raises no HTTP errors."""
    used = find_spec("hf_xet") is not None and not constants.HF_HUB_DISABLE_XET
    return used and not any(isinstance(e, httpx2.HTTPError) for e in causes(error))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__


def explain(error: Exception, target: Target) -> str:
    """One line for what went wrong and what to do."""
    status, namespace = status_of(error), target.repo_id.split("/")[0]
    tokens = "https://huggingface.co/settings/tokens"
    if isinstance(error, LocalTokenNotFoundError):
        return "There is no token of the Hugging Face Hub. Log in with `hf auth login`, or set HF_TOKEN."
    if isinstance(error, GatedRepoError):
        return f"{target.repo_id} is gated, and this token has no access to it. Ask for it on its page, then repeat."
    if status == 401:
        return f"The Hub does not know this token. Log in again with `hf auth login`; tokens are made at {tokens}."
    if status == 403:
        return (
            f"This token may not write to {target.repo_id}: it is read-only, or has no right to {namespace}. "
            f"Make one that has at {tokens}, or choose another --repo_id."
        )
    if status == 404:
        return f"There is no user or organisation {namespace} on the Hub that this token can see. Check --repo_id."
    if status == 409:
        return f"The name {target.repo_id} is taken. Choose another --repo_id."
    if status == 429:
        return (
            "The Hub asks for fewer requests (status 429). Nothing was published; repeat the command in a few minutes."
        )
    if status and status >= 500:
        return f"The Hub failed (status {status}). Nothing was published; repeat the command later."
    if any(isinstance(e, httpx2.TransportError) for e in causes(error)):
        return (
            f"The connection to {constants.ENDPOINT} failed ({short(error)}). Nothing was published; "
            "repeat the command."
        )
    return f"The Hub refused {target.repo_id}: {short(error)}"


def short(error: BaseException) -> str:
    """The deepest cause of an error in one line."""
    last = list(causes(error))[-1]
    text = " ".join(str(last).split())
    return redact(f"{type(last).__name__}: {text}" if text else type(last).__name__)


def _client() -> httpx2.Client:
    client = default_client_factory()
    client.timeout = TIMEOUT_S
    return client
