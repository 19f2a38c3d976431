"""Upload a staged folder to the Hub: compare first, then make one commit, or none if nothing has changed."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

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

from .checks import TOKEN, files_of
from .errors import PublishError

ATTEMPTS = 3
# Seconds before the repo is looked at again after a commit that was not answered, and how often: the Hub may still be
# at work on it.
PATIENCE = (0.5, 1.5, 4.0)
# Seconds until the Hub must start to answer; huggingface_hub has no timeout of its own.
TIMEOUT_S = 300
KEPT = ".gitattributes"  # created by the Hub with the repo
T = TypeVar("T")
# What a request may end with. OSError is what hf_xet raises, and huggingface_hub where there is no token.
FAILURES = (HfHubHTTPError, httpx2.HTTPError, OSError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Target:
    """Where to publish.

    Attributes:
        repo_id: ORG/NAME.
        repo_type: "model", "dataset" or "space".
        marker: A file that every repo of this kind has; one that has files but not this is refused as unrelated.
        private: Whether to create a missing repo as private.
        revision: Branch; created from main if it is missing.
        create_pr: Whether to open a pull request instead of committing.
        tag: Tag for the published revision.
        space_sdk: SDK of a Space.
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
            raise PublishError(
                f"--repo_id {self.repo_id!r} is not a valid name for a repo: {str(error).splitlines()[0]}"
            ) from error
        if "/" not in self.repo_id:
            raise PublishError(f"--repo_id is {self.repo_id!r}; expected ORG/NAME, the owner and the repo's name.")

    @property
    def where(self) -> dict[str, str]:
        """Return the arguments that identify the repo for huggingface_hub's functions."""
        return {"repo_id": self.repo_id, "repo_type": self.repo_type}


@dataclass(frozen=True)
class Outcome:
    """Result of publishing: the revision's oid and address, and the paths written and deleted (none: no commit)."""

    oid: str
    url: str
    written: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


def redact(text: str) -> str:
    """Return a text with everything that looks like a Hub token removed."""
    return TOKEN.sub("hf_***", text)


@dataclass(frozen=True)
class Publication:
    """One push of a staged folder.

    Attributes:
        api: The client.
        folder: The staged folder; all its files are published.
        target: Repo to publish to.
        message: Commit message.
        say: Function that prints progress.
        made: "repo" and "branch", if this push creates them.
    """

    api: HfApi
    folder: Path
    target: Target
    message: str
    say: Callable[[str], None] = print
    made: list[str] = field(default_factory=list)


def publish(folder: Path, target: Target, message: str, say: Callable[[str], None] = print) -> Outcome:
    """Make the repo's files equal to the folder's in one commit, or none if they already are.

    The commit names its parent, so that it cannot be made twice, nor over one that came in between. One that was not
    answered is looked for in the repo before it is tried again. Large files go to the Hub's Xet storage where hf_xet is
    installed, and over HTTP (LFS) where it is not, HF_HUB_DISABLE_XET is set, or that storage cannot be used; hf_xet
    itself tries for minutes before it gives up on a server that fails.

    Args:
        folder: The staged folder; all its files are published.
        target: Repo to publish to.
        message: Commit message.
        say: Function that prints progress.

    Returns:
        The result.

    Raises:
        PublishError: If the Hub refuses, the repo is unrelated, or the connection fails for good. The repo is left as
            it was: a newly created repo or branch is deleted, or the message says that deleting it failed. An interrupt
            (Ctrl-C) deletes nothing.
    """
    huggingface_hub.set_client_factory(_client)
    push = Publication(HfApi(), folder, target, message, say)
    try:
        outcome, is_tagged = bring(push)
    except (PublishError, *FAILURES) as error:
        reason = str(error) if isinstance(error, PublishError) else explain(error, target)
        raise PublishError(" ".join([reason, *undo(push.api, target, push.made)])) from error
    if target.tag and not is_tagged:
        try:
            with_retries(
                lambda: push.api.create_tag(**target.where, tag=target.tag, revision=outcome.oid, exist_ok=True)
            )
        except FAILURES as error:
            raise PublishError(
                f"The files are published ({outcome.url}), but the tag {target.tag} is not ({short(error)}). "
                "Repeat the command."
            ) from error
    return outcome


def bring(push: Publication) -> tuple[Outcome, bool]:
    """Compare the folder with the repo and commit the differences.

    Returns:
        The result, and whether the tag exists already.

    Raises:
        PublishError: If the token cannot write, the repo is unrelated, or the tag is at another revision.
    """
    api, target = push.api, push.target
    check_user(with_retries(api.whoami))
    head = open_repo(api, target, push.made)
    tags = {tag.name: tag.target_commit for tag in with_retries(lambda: api.list_repo_refs(**target.where)).tags}
    remote = remote_files(api, target, head)
    if target.marker not in remote and set(remote) - {KEPT, "README.md"}:
        raise PublishError(
            f"{target.repo_id} is taken: it has files but no {target.marker}, so it is not a {target.repo_type} of "
            "this project. Choose another --repo_id."
        )
    written, deleted = difference(push.folder, remote)
    changed = bool(written or deleted)
    if target.tag in tags and (changed or tags[target.tag] != head):
        raise PublishError(
            f"The tag {target.tag} exists already, at {tags[target.tag][:10]}. Choose another --tag, or delete it."
        )
    url = address(api, target)
    if changed:
        push.say(f"{len(written)} files to write, {len(deleted)} to delete in {target.repo_id}")
        head, url = commit(push, head, written, deleted)
    return Outcome(head, url, tuple(written), tuple(deleted)), target.tag in tags


def undo(api: HfApi, target: Target, made: Sequence[str]) -> list[str]:
    """Delete the repo or branch created for a failed commit; return a sentence for each that could not be deleted.

    Nothing is deleted that has commits other than the Hub's initial one.
    """
    left = []
    for what in reversed(made):
        try:
            refs = with_retries(lambda: api.list_repo_refs(**target.where, include_pull_requests=True))
            heads = {ref.name: ref.target_commit for ref in [*refs.branches, *refs.pull_requests]}
            main = heads.get("main")
            if what == "branch" and heads.get(target.revision) == main:
                with_retries(lambda: api.delete_branch(**target.where, branch=target.revision))
            elif what == "repo" and set(heads.values()) == {main} and is_untouched(api, target):
                with_retries(lambda: api.delete_repo(**target.where, missing_ok=True))
        except (RepositoryNotFoundError, RevisionNotFoundError):
            continue  # it was not created
        except FAILURES as error:
            left.append(f"The newly created {what} could not be deleted and may be left empty ({short(error)}).")
    return left


def is_untouched(api: HfApi, target: Target) -> bool:
    """Return whether a repo has only the Hub's initial commit."""
    return len(with_retries(lambda: api.list_repo_commits(**target.where))) == 1


def address(api: HfApi, target: Target) -> str:
    """Return the address of the repo's page."""
    prefix = "" if target.repo_type == "model" else f"{target.repo_type}s/"
    return f"{api.endpoint}/{prefix}{target.repo_id}"


def check_user(user: dict[str, Any]) -> None:
    """Check that a token can write.

    Raises:
        PublishError: If the token is read-only.
    """
    if user.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise PublishError(
            f"The token of {user['name']} is read-only. Create one that can write at "
            "https://huggingface.co/settings/tokens and log in with `hf auth login`."
        )


def open_repo(api: HfApi, target: Target, made: list[str]) -> str:
    """Find the repo and the branch, or create them; return the oid of the branch's newest commit.

    Args:
        api: The client.
        target: Repo to publish to.
        made: List to which "repo" or "branch" is added before either is created.

    Raises:
        PublishError: If the repo should be private but exists and is public.
    """
    try:
        repo = with_retries(lambda: api.repo_info(**target.where))
    except GatedRepoError:  # a subclass of RepositoryNotFoundError
        raise
    except RepositoryNotFoundError:
        made.append("repo")
        sdk = {"space_sdk": target.space_sdk} if target.space_sdk else {}
        # exist_ok: an earlier attempt may have succeeded without an answer
        with_retries(lambda: api.create_repo(**target.where, private=target.private, exist_ok=True, **sdk))
        repo = with_retries(lambda: api.repo_info(**target.where))
    if target.private and not repo.private:
        raise PublishError(
            f"{target.repo_id} is already public: --private applies to new repos only. Change its settings on the Hub."
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
    """Return the oid of the branch's newest commit."""
    return with_retries(lambda: api.repo_info(**target.where, revision=target.revision)).sha


def remote_files(api: HfApi, target: Target, revision: str) -> dict[str, RepoFile]:
    """Return the entries of all files of a revision by path."""
    entries = with_retries(lambda: list(api.list_repo_tree(**target.where, recursive=True, revision=revision)))
    return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


def difference(folder: Path, remote: dict[str, RepoFile]) -> tuple[list[str], list[str]]:
    """Return the paths whose content differs from the folder's, and those missing from the folder."""
    local = {path.relative_to(folder).as_posix(): path for path in files_of(folder)}
    written = [name for name, path in local.items() if name not in remote or not is_same(path, remote[name])]
    return written, sorted(set(remote) - set(local) - {KEPT})


def is_same(path: Path, entry: RepoFile) -> bool:
    """Return whether a local file has the same content as one on the Hub."""
    if path.stat().st_size != entry.size:
        return False
    if entry.lfs:
        with open(path, "rb") as file:
            return sha_fileobj(file).hex() == entry.lfs.sha256
    return git_hash(path.read_bytes()) == entry.blob_id


def commit(push: Publication, head: str, written: Sequence[str], deleted: Sequence[str]) -> tuple[str, str]:
    """Commit, and check whether an unanswered commit was made; return its oid and URL."""
    target = push.target
    for attempt in range(1, ATTEMPTS + 1):
        operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=push.folder / name) for name in written]
        operations += [CommitOperationDelete(path_in_repo=name) for name in deleted]
        try:
            done = push.api.create_commit(
                **target.where,
                operations=operations,
                commit_message=push.message,
                revision=target.revision,
                create_pr=target.create_pr,
                parent_commit=head,
            )
        except FAILURES as error:
            if is_of_xet(error):
                push.say(f"Xet storage cannot be used ({short(error)}); uploading over HTTP")
                constants.HF_HUB_DISABLE_XET = True
                return commit(push, head, written, deleted)
            if not (is_passing(error) or status_of(error) in (409, 412)) or target.create_pr:
                raise  # our pull request could not be recognised, and a retry might open a second one
            push.say(f"No answer to the commit ({short(error)}); checking whether it was made")
            if found := find_commit(push, head):
                return found
            if attempt == ATTEMPTS:
                raise
        else:
            return done.oid, done.pr_url or done.commit_url
    raise AssertionError("the last attempt returns or raises")


def find_commit(push: Publication, head: str) -> tuple[str, str] | None:
    """Return the oid and URL of a commit whose answer was lost; None if it does not appear in time.

    Raises:
        PublishError: If the newest commit is another user's.
    """
    for pause in PATIENCE:
        now = newest(push.api, push.target)
        if now != head:
            break
        time.sleep(pause)
    if now == head:
        return None
    if any(difference(push.folder, remote_files(push.api, push.target, now))):
        raise PublishError(
            f"Another commit was made to {push.target.repo_id} in the meantime. Review it, then repeat the command."
        )
    return now, f"{address(push.api, push.target)}/commit/{now}"


def with_retries(request: Callable[[], T]) -> T:
    """Call an idempotent function, with retries if the connection or the Hub fails."""
    for pause in PATIENCE:
        try:
            return request()
        except (HfHubHTTPError, httpx2.HTTPError) as error:
            if not is_passing(error):
                raise
            time.sleep(pause)
    return request()


def is_passing(error: BaseException) -> bool:
    """Return whether an error is transient."""
    return any(isinstance(e, httpx2.TransportError) for e in causes(error)) or status_of(error) in (
        408,
        429,
        *range(500, 600),
    )


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an error; None if it has none."""
    return next((e.response.status_code for e in causes(error) if isinstance(e, httpx2.HTTPStatusError)), None)


def is_of_xet(error: BaseException) -> bool:
    """Return whether the upload to Xet storage failed, whose server raises no HTTP errors."""
    used = find_spec("hf_xet") is not None and not constants.HF_HUB_DISABLE_XET
    return used and not any(isinstance(e, httpx2.HTTPError) for e in causes(error))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__


def explain(error: Exception, target: Target) -> str:
    """Return a one-line explanation of an error and its remedy."""
    status, namespace = status_of(error), target.repo_id.split("/")[0]
    tokens = "https://huggingface.co/settings/tokens"
    if isinstance(error, LocalTokenNotFoundError):
        return "No Hugging Face Hub token was found. Log in with `hf auth login`, or set HF_TOKEN."
    if isinstance(error, GatedRepoError):
        return f"{target.repo_id} is gated, and this token has no access. Request access on its page, then repeat."
    if status == 401:
        return f"The Hub rejects this token as invalid. Log in again with `hf auth login`; create tokens at {tokens}."
    if status == 403:
        return (
            f"This token cannot write to {target.repo_id}: it is read-only, or lacks permission for {namespace}. "
            f"Create another at {tokens}, or choose another --repo_id."
        )
    if status == 404:
        return f"The user or organisation {namespace} does not exist, or this token cannot see it. Check --repo_id."
    if status == 409:
        return f"The name {target.repo_id} is taken. Choose another --repo_id."
    if status == 429:
        return (
            "The Hub's rate limit was reached (status 429). Nothing was published; repeat the command in a few minutes."
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
    """Return the root cause of an error in one line."""
    last = list(causes(error))[-1]
    text = " ".join(str(last).split())
    return redact(f"{type(last).__name__}: {text}" if text else type(last).__name__)


def _client() -> httpx2.Client:
    client = default_client_factory()
    client.timeout = TIMEOUT_S
    return client
