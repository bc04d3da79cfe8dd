from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hafailover import cli
from hafailover.config import model
from hafailover.daemon import leftovers
from hafailover.errors import GuestError
from hafailover.guest.network import NullGuest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ONE, TWO, OTHER = "10.0.1.100", "10.0.1.101", "10.0.1.102"
ROUTES = "routes but"
OURS = model.Group("vip", addresses=(ONE, TWO))
THEIRS = model.Group("db", addresses=(OTHER,), guest="none")


class Kernel(NullGuest):
    """A guest that writes down what is taken off it, and may refuse."""

    opens = True

    def __init__(self) -> None:
        self.gone: list[str] = []
        self.refused: frozenset[str] = frozenset()

    async def open(self) -> None:
        if not self.opens:
            raise GuestError("CAP_NET_ADMIN is missing")

    async def disarm(self, address: str) -> None:
        if address in self.refused:
            raise GuestError("the kernel refuses")
        self.gone.append(address)

    async def lift_others(self, keep: Iterable[model.Group]) -> None:
        if "routes" in self.refused:
            raise GuestError("the kernel refuses")
        self.gone.append(" ".join(("routes but", *(group.name for group in keep))))

    async def unplug_others(self, keep: Iterable[str] = ()) -> None:
        assert tuple(keep) == ()
        self.gone.append("ENIs")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(leftovers, "Guest", lambda: made)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return made


def write(folder: Path, text: str) -> None:
    (folder / leftovers.FILE).write_text(text)


def test_the_runtime_directory_is_the_first_that_systemd_names(tmp_path: Path) -> None:
    assert leftovers.directory_of({"RUNTIME_DIRECTORY": f"{tmp_path}:/run/other"}) == tmp_path
    assert leftovers.directory_of({"RUNTIME_DIRECTORY": "relative"}) is None
    assert leftovers.directory_of({}) is None


async def test_a_daemon_notes_what_it_may_put_on_the_guest(tmp_path: Path, kernel: Kernel) -> None:
    await leftovers.note(tmp_path, (OURS, THEIRS), kernel)
    assert leftovers.noted(tmp_path) == (ONE, TWO)
    assert kernel.gone == []


async def test_routes_that_the_configuration_knows_no_more_go_and_need_no_note(kernel: Kernel) -> None:
    await leftovers.lift(kernel, (OURS, THEIRS))
    assert kernel.gone == ["routes but vip db"]
    kernel.refused = frozenset({"routes"})
    with capture_logs() as logs:
        await leftovers.lift(kernel, (OURS,))
    assert [(entry["event"], entry["error"]) for entry in logs] == [
        ("leftovers_not_released", "the kernel refuses")
    ]


async def test_what_the_configuration_knows_no_more_goes(tmp_path: Path, kernel: Kernel) -> None:
    write(tmp_path, f"{ONE}\n{OTHER}\n10.0.1.9\n")
    with capture_logs() as logs:
        await leftovers.note(tmp_path, (OURS, THEIRS), kernel)
    assert kernel.gone == ["10.0.1.9"]  # and not what others look after
    assert [(entry["event"], entry["failed"]) for entry in logs] == [("leftovers_released", [])]


async def test_enis_are_noted_and_go_when_the_configuration_has_none_any_more(
    tmp_path: Path, kernel: Kernel
) -> None:
    with_eni = model.Group("eni", addresses=(ONE,), enis=("eni-1", "eni-2"))
    others = model.Group("db", enis=("eni-3",), guest="none")
    await leftovers.note(tmp_path, (with_eni, others), kernel)
    assert leftovers.noted(tmp_path) == (ONE, "eni-1", "eni-2")
    await leftovers.note(tmp_path, (model.Group("eni", enis=("eni-1",)),), kernel)
    assert kernel.gone == [ONE]  # whose card is whose is not known here
    await leftovers.note(tmp_path, (OURS,), kernel, ["eni-9", None])
    assert kernel.gone == [ONE, "ENIs"]


async def test_enis_stay_where_one_of_them_is_a_nodes_own_by_now(tmp_path: Path, kernel: Kernel) -> None:
    write(tmp_path, f"{TWO}\neni-1\neni-2\n")
    await leftovers.note(tmp_path, (THEIRS,), kernel, ["eni-9", "eni-2"])
    assert kernel.gone == [TWO]


def test_noted_enis_go_all_at_once(tmp_path: Path, kernel: Kernel) -> None:
    write(tmp_path, f"eni-1\n{ONE}\neni-2\n")
    assert cli.main(["release-guest"]) == 0
    assert kernel.gone == [ROUTES, ONE, "ENIs"]


async def test_a_directory_that_cannot_be_used_keeps_nobody_from_working(tmp_path: Path, kernel: Kernel) -> None:
    (tmp_path / leftovers.FILE).mkdir()
    with capture_logs() as logs:
        await leftovers.note(tmp_path, (OURS,), kernel)
    assert [entry["event"] for entry in logs] == ["leftovers_not_noted"]


def test_what_is_noted_goes_and_the_note_with_it(tmp_path: Path, kernel: Kernel) -> None:
    write(tmp_path, f"{ONE}\n{TWO}\nnonsense 2001:db8::300 10.0.1.300\n")
    assert cli.main(["release-guest"]) == 0
    assert kernel.gone == [ROUTES, ONE, TWO, "2001:db8::300"]
    assert not (tmp_path / leftovers.FILE).exists()


def test_without_a_note_there_is_nothing_to_do(kernel: Kernel) -> None:
    kernel.opens = False
    assert cli.main(["release-guest"]) == 0


def test_what_stays_is_told_and_kept_noted(
    tmp_path: Path, kernel: Kernel, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, f"{ONE}\n{TWO}\n")
    kernel.refused = frozenset({ONE})
    assert cli.main(["release-guest"]) == 1
    assert kernel.gone == [ROUTES, TWO]
    assert capsys.readouterr().err == "the kernel refuses\n"
    assert leftovers.noted(tmp_path) == (ONE, TWO)


def test_a_missing_right_is_told(tmp_path: Path, kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, f"{ONE}\n")
    kernel.opens = False
    assert cli.main(["release-guest"]) == 1
    assert capsys.readouterr().err == "CAP_NET_ADMIN is missing\n"


def test_a_note_that_cannot_be_read_is_told(
    tmp_path: Path, kernel: Kernel, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / leftovers.FILE).mkdir()
    assert cli.main(["release-guest"]) == 1
    assert capsys.readouterr().err == f"{tmp_path / leftovers.FILE}: Is a directory\n"
    assert kernel.gone == []


def test_what_a_reload_leaves_on_the_guest_is_not_noted_any_more(tmp_path: Path, kernel: Kernel) -> None:
    write(tmp_path, f"{ONE}\n{TWO}\n")
    leftovers.renew(tmp_path, (model.Group("vip", addresses=(ONE,)), THEIRS))
    assert leftovers.noted(tmp_path) == (ONE,)
    assert kernel.gone == []
