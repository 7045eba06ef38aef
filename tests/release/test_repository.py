"""The signed repository, read back by python-tuf's own client."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from release_world import SHOP, Client, new_repository, tiny_release
from tuf.api import exceptions
from tuf.api.metadata import Metadata, TargetFile, Targets

from edgewise.bundle.assignment import release_path
from edgewise.clock import ManualClock, SystemClock
from edgewise.errors import BundleRefused, RefusedError, UnavailableError
from edgewise.ids import BundleVersion, NodeId, SiteName
from hub.keys import KeyFolder, make_keys
from hub.release.chain import KEPT_VERSIONS, LIFE_S
from hub.release.repository import RETAINED, Repository

DAY_MS = 86_400_000


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return new_repository(tmp_path / "hub")


@pytest.fixture
def client(tmp_path: Path, repository: Repository) -> Client:
    return Client(tmp_path / "client", repository)


def publish(repository: Repository, *versions: int) -> None:
    for version in versions:
        repository.publish_release(*tiny_release(version))


def v(version: int) -> BundleVersion:
    return BundleVersion(version)


def test_a_client_reads_what_was_published_and_assigned(repository: Repository, client: Client) -> None:
    assert client.assignment() is None
    publish(repository, 1, 2)
    repository.assign(v(2), {NodeId("n-slow"): v(1)})
    assignment = client.assignment()
    assert assignment is not None
    assert (assignment.version, assignment.of(NodeId("n-any")), assignment.of(NodeId("n-slow"))) == (1, 2, 1)
    manifest, resources = tiny_release(2)
    assert client.manifest(2) == manifest
    assert repository.release(v(2)).resources == resources
    assert repository.site == SHOP
    assert list(repository.releases()) == [1, 2]


def test_a_rollback_is_a_newer_assignment_of_an_older_release(repository: Repository, client: Client) -> None:
    publish(repository, 1, 2)
    repository.assign(v(2))
    assert client.assignment() == repository.assignment()
    repository.assign(v(1))
    rolled_back = client.assignment()
    assert rolled_back is not None
    assert (rolled_back.version, rolled_back.default) == (2, 1)


def test_only_approved_releases_can_be_assigned(repository: Repository) -> None:
    publish(repository, 1)
    with pytest.raises(BundleRefused, match="release 2 is not among the approved ones") as refused:
        repository.assign(v(1), {NodeId("n-1"): v(2)})
    assert refused.value.code == "not-approved"
    assert repository.assignment() is None


def test_a_stranger_with_keys_of_his_own_is_refused(tmp_path: Path, client: Client) -> None:
    stranger = new_repository(tmp_path / "stranger")
    stranger.publish_release(*tiny_release(9))
    client.update()
    client.repository = stranger
    with pytest.raises(exceptions.UnsignedMetadataError):
        client.update()


def test_an_older_timestamp_is_refused(tmp_path: Path, repository: Repository, client: Client) -> None:
    publish(repository, 1)
    repository.assign(v(1))
    shutil.copytree(tmp_path / "hub", tmp_path / "old")
    publish(repository, 2)
    repository.assign(v(2))
    assert client.assignment() == repository.assignment()
    seen = client.versions()
    client.repository = Repository(tmp_path / "old")
    with pytest.raises(exceptions.BadVersionNumberError):
        client.update()
    assert client.versions() == seen


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "assignment"])
def test_a_flipped_byte_in_the_metadata_is_refused(repository: Repository, client: Client, role: str) -> None:
    publish(repository, 1)
    repository.assign(v(1))
    name = next(name for name in repository.metadata_names() if role in name)
    flip_signature(repository.path / "metadata" / name)
    with pytest.raises((exceptions.RepositoryError, exceptions.DownloadError)):
        client.assignment()


@pytest.mark.parametrize("path", ["releases/1/*.manifest.json", "*.assignment.json"])
def test_a_flipped_byte_in_a_target_is_refused(repository: Repository, client: Client, path: str) -> None:
    publish(repository, 1)
    repository.assign(v(1))
    (file,) = (repository.path / "targets").glob(path)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(exceptions.RepositoryError):
        client.manifest(1) if "manifest" in path else client.assignment()


def test_a_flipped_byte_in_a_resource_is_found(repository: Repository) -> None:
    publish(repository, 1)
    (file,) = (repository.path / "blobs").iterdir()
    file.write_bytes(b"x" + file.read_bytes()[1:])
    with pytest.raises(BundleRefused, match=r"policy\.json of release 1 has digest"):
        repository.release(v(1))
    publish_again = tiny_release(2, "")
    repository.publish_release(*publish_again)
    assert repository.release(v(2)).resources == publish_again[1]


def flip_signature(file: Path) -> None:
    """One hex digit of a signature becomes another one."""
    text = file.read_text()
    at = text.index('"sig":"') + len('"sig":"')
    file.write_text(text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :])


def test_expired_metadata_stops_updates_until_the_hub_signs_again(tmp_path: Path) -> None:
    clock = ManualClock(SystemClock().now_ms())
    repository = new_repository(tmp_path / "hub", clock)
    publish(repository, 1)
    repository.assign(v(1))
    client = Client(tmp_path / "client", repository)
    assert client.assignment() == repository.assignment()
    clock.jump(-2 * DAY_MS)
    repository.assign(v(1))
    seen = client.versions()
    with pytest.raises(exceptions.ExpiredMetadataError):
        client.update()
    assert client.versions()["snapshot"] == seen["snapshot"], "what was trusted stays"
    clock.jump(2 * DAY_MS)
    assert repository.refresh()
    assert client.assignment() == repository.assignment()


def test_online_roles_are_signed_again_at_half_of_their_life(tmp_path: Path) -> None:
    clock = ManualClock()
    repository = new_repository(tmp_path, clock)
    before = repository.expiries_ms()
    assert before["timestamp"] - clock.now_ms() == LIFE_S["timestamp"] * 1_000
    assert before["targets"] - clock.now_ms() == LIFE_S["targets"] * 1_000
    clock.advance(DAY_MS // 2 - 1)
    assert not repository.refresh()
    clock.advance(2_000)
    assert repository.refresh()
    after = repository.expiries_ms()
    assert {role for role in after if after[role] > before[role]} == {"snapshot", "timestamp", "assignment", "facts"}
    assert not repository.refresh()


def test_a_hub_without_the_targets_key_selects_but_does_not_approve(repository: Repository, client: Client) -> None:
    publish(repository, 1, 2)
    for role in ("root", "targets"):
        (repository.path.parent / "keys" / f"{role}.pem").unlink()
    repository.assign(v(1))
    assert client.assignment() == repository.assignment()
    with pytest.raises(UnavailableError, match="the key of the role targets is not here"):
        publish(repository, 3)
    assert list(repository.releases()) == [1, 2]
    assert client.manifest(3) is None


def test_stolen_online_keys_cannot_smuggle_in_a_release(repository: Repository, client: Client) -> None:
    publish(repository, 1)
    repository.assign(v(1))
    chain = repository.chain.read()
    path = release_path(v(9))
    chain.assignment.signed.targets[path] = TargetFile.from_data(path, b"evil", ["sha256"])
    chain.facts.signed.targets[path] = TargetFile.from_data(path, b"evil", ["sha256"])
    repository.chain.commit(chain, ["assignment", "facts"], SystemClock().now_ms())
    assert client.assignment() == repository.assignment(), "the metadata itself is validly signed"
    assert client.manifest(9) is None, "assignment may sign assignment.json, facts may sign facts/*, nothing else"


def test_the_facts_role_may_sign_facts(repository: Repository, client: Client) -> None:
    chain = repository.chain.read()
    target = TargetFile.from_data("facts/stock.json", b"{}", ["sha256"])
    chain.facts.signed.targets["facts/stock.json"] = target
    (repository.path / "targets/facts").mkdir(parents=True)
    (repository.path / f"targets/facts/{target.hashes['sha256']}.stock.json").write_bytes(b"{}")
    repository.chain.commit(chain, ["facts"], SystemClock().now_ms())
    updater = client.update()
    assert updater.get_targetinfo("facts/stock.json") == target


def test_a_version_names_one_content_for_ever(repository: Repository) -> None:
    publish(repository, 1)
    names = repository.metadata_names()
    publish(repository, 1)
    assert repository.metadata_names() == names, "the same again changes nothing"
    with pytest.raises(BundleRefused, match="version 1 was released with other contents"):
        repository.publish_release(*tiny_release(1, "other"))
    with pytest.raises(BundleRefused, match="a bundle of the site 'elsewhere'; expected 'shop'"):
        repository.publish_release(*tiny_release(2, site=SiteName("elsewhere")))
    manifest, _ = tiny_release(2)
    with pytest.raises(BundleRefused, match=r"manifest and resources differ about policy\.json"):
        repository.publish_release(manifest, {})
    with pytest.raises(BundleRefused, match=r"policy\.json of release 2 has digest"):
        repository.publish_release(manifest, {"policy.json": b"other"})
    with pytest.raises(BundleRefused, match="not a manifest"):
        repository.publish_release(b"{}", {})


def test_old_releases_leave_the_list_but_not_the_disk(repository: Repository, client: Client) -> None:
    publish(repository, 1)
    repository.assign(v(1))
    publish(repository, *range(2, RETAINED + 4))
    listed = list(repository.releases())
    assert listed == [1, *range(4, RETAINED + 4)], "the assigned one stays listed"
    assert client.manifest(2) is None
    assert repository.release(v(2)).resources == tiny_release(2)[1]
    assert [repository.is_past(v(version)) for version in (2, 3, 4)] == [True, True, False]
    publish(repository, 2)
    repository.assign(v(2))
    assert client.manifest(2) is not None, "an old one can be listed and run again"
    files = [path.name for path in (repository.path / "metadata").glob("*.targets.json")]
    assert len(files) == KEPT_VERSIONS + 1


def test_another_site_cannot_take_the_folder(tmp_path: Path, repository: Repository) -> None:
    repository.create(SHOP)
    with pytest.raises(RefusedError, match="belongs to the site 'shop', not to 'elsewhere'"):
        repository.create(SiteName("elsewhere"))
    with pytest.raises(UnavailableError, match="no signed repository"):
        Repository(tmp_path / "nothing").trust_anchor()


NAMES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["../keys/root.pem", "..", ".", "", "/etc/passwd", "a/../../keys/root.pem", "%2e%2e/keys", "a//b"]),
)


@given(NAMES)
def test_no_name_leads_out_of_the_repository(shared_repository: Repository, name: str) -> None:
    assert shared_repository.metadata(name) is None
    assert shared_repository.target(name) is None
    assert shared_repository.blob(name) is None


@pytest.fixture(scope="module")
def shared_repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return new_repository(tmp_path_factory.mktemp("shared"))


OPERATIONS = st.lists(st.sampled_from(["publish", "assign", "roll back", "refresh"]), max_size=12)


@settings(max_examples=10)  # each example signs dozens of files
@given(OPERATIONS)
def test_versions_never_fall(tmp_path_factory: pytest.TempPathFactory, operations: list[str]) -> None:
    folder = tmp_path_factory.mktemp("never")
    clock = ManualClock(SystemClock().now_ms())
    repository = new_repository(folder / "hub", clock)
    client = Client(folder / "client", repository)
    published = 0
    seen: dict[str, int] = {}
    for operation in operations:
        if operation == "publish":
            published += 1
            publish(repository, published)
        elif operation == "refresh":
            clock.advance(DAY_MS)
            repository.refresh()
        elif published:
            repository.assign(v(published if operation == "assign" else 1))
        client.assignment()
        now = client.versions()
        assert all(now[role] >= version for role, version in seen.items())
        seen = now


ASSIGNING = """
import sys
from pathlib import Path
from hub.release.repository import Repository
repository = Repository(Path(sys.argv[1]))
for _ in range(10):
    repository.assign(1)
"""


@pytest.mark.process
def test_two_processes_change_it_at_the_same_time(repository: Repository, client: Client) -> None:
    publish(repository, 1)
    folder = str(repository.path.parent)
    running = [subprocess.Popen([sys.executable, "-c", ASSIGNING, folder]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    assignment = client.assignment()
    assert assignment is not None
    assert assignment.version == 20, "no assignment was lost"


def test_metadata_carries_signatures_of_ed25519_keys(repository: Repository) -> None:
    root = Metadata.from_bytes(repository.trust_anchor()).signed
    assert {key.keytype for key in root.keys.values()} == {"ed25519"}
    targets = Metadata[Targets].from_bytes(repository.metadata("1.targets.json") or b"")
    assert targets.signed.delegations is not None
    assert set(targets.signed.delegations.roles or {}) == {"assignment", "facts"}


def test_keys_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    made = make_keys(tmp_path)
    folder = tmp_path / "keys"
    assert len(made) == 8
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o600"}
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    secrets = KeyFolder(tmp_path).secrets()
    assert make_keys(tmp_path) == []
    assert KeyFolder(tmp_path).secrets() == secrets
    assert len(secrets.subject_key) == len(secrets.visitor_key) == 32
    assert secrets.subject_key != secrets.visitor_key


def test_lost_keys_are_not_replaced_by_a_strangers(repository: Repository) -> None:
    data_dir = repository.path.parent
    (data_dir / "keys/targets.pem").unlink()
    with pytest.raises(RefusedError, match=r"targets\.pem missing .* copy them back"):
        make_keys(data_dir)
    (data_dir / "keys/snapshot.pem").write_text("no key")
    with pytest.raises(UnavailableError, match="cannot be used"):
        KeyFolder(data_dir).signer("snapshot")
    (data_dir / "keys/subject.key").write_text("abcd")
    with pytest.raises(UnavailableError, match="holds 2 bytes, expected 32"):
        KeyFolder(data_dir).secrets()
