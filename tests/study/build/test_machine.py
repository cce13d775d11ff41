"""Limits of a container, in folders as Linux shows them."""

from types import SimpleNamespace

import pytest

from study.engines import machine

DOCKER = "/docker/4f0c"
VERSION_1 = f"4:memory:{DOCKER}\n1:cpu,cpuacct:{DOCKER}\n"


def system(root, files: dict[str, object]):
    """A root folder with these files."""
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{text}\n")
    return root


@pytest.fixture(autouse=True)
def machine_of_eight_cores_and_16_gb(monkeypatch):
    monkeypatch.setattr(machine, "_visible_cores", lambda: 8)
    memory = SimpleNamespace(available=16_384_000_000)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: memory)


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/", {"cpu.max": "200000 100000"}, 2),
        ("0::/", {"cpu.max": "max 100000"}, 8),
        ("0::/", {"cpu.max": "50000 100000"}, 1),
        ("0::/", {"cpu.max": "350000 100000"}, 4),
        ("0::/", {"cpu.max": "1600000 100000"}, 8),
        ("0::/", {"unified/cpu.max": "200000 100000"}, 2),
        ("0::/a/b", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000", "cpu.max": "max 1"}, 3),
        ("0::/a/b", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "500000 100000"}, 3),
        ("0::/../../gone", {"cpu.max": "200000 100000"}, 2),
        (VERSION_1, {"cpu,cpuacct/cpu.cfs_quota_us": 200000, "cpu,cpuacct/cpu.cfs_period_us": 100000}, 2),
        (
            VERSION_1,
            {f"cpu{DOCKER}/cpu.cfs_quota_us": 300000, f"cpu{DOCKER}/cpu.cfs_period_us": 100000}
            | {"cpu/cpu.cfs_quota_us": -1, "cpu/cpu.cfs_period_us": 100000},
            3,
        ),
        (VERSION_1, {"cpu/cpu.cfs_quota_us": -1, "cpu/cpu.cfs_period_us": 100000}, 8),
        (VERSION_1, {}, 8),
        ("", {"cpu.max": "200000 100000"}, 8),
        ("0::/", {"cpu.max": "unheard of"}, 8),
        ("0::/", {"cpu.max": "200000"}, 8),
        ("0::/", {"cpu.max": "200000 often"}, 8),
        ("no groups\n0::/", {"cpu.max": "200000 100000"}, 2),
    ],
)
def test_cores_are_those_that_the_quota_pays_for(tmp_path, groups, files, cores):
    shown = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    root = system(tmp_path, {"proc/self/cgroup": groups, **shown})
    assert machine.cores(root) == cores
    assert machine.are_rationed(root) == (cores < 8)


@pytest.mark.parametrize(
    ("groups", "files", "free"),
    [
        ("0::/", {}, 16.384e9),
        ("0::/", {"memory.max": "max", "memory.current": 5}, 16.384e9),
        ("0::/", {"memory.max": 4_000_000_000, "memory.current": 1_000_000_000}, 3e9),
        (
            "0::/a",
            {"a/memory.max": 4_000_000_000, "a/memory.current": 3_000_000_000}
            | {"a/memory.stat": "anon 1000000000\nactive_file 500000000\ninactive_file 1500000000"},
            3e9,
        ),
        ("0::/", {"memory.max": 10, "memory.current": 20}, 0.0),
        (
            VERSION_1,
            {"memory/memory.limit_in_bytes": 2_000_000_000, "memory/memory.usage_in_bytes": 1_500_000_000}
            | {"memory/memory.stat": "total_inactive_file 1000000000\ntotal_active_file 0"},
            1.5e9,
        ),
        (VERSION_1, {"memory/memory.limit_in_bytes": 2**63 - 4096}, 16.384e9),
    ],
)
def test_free_memory_is_what_the_groups_leave_of_it(tmp_path, groups, files, free):
    shown = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    assert machine.free_memory(system(tmp_path, {"proc/self/cgroup": groups, **shown})) == pytest.approx(free)


def test_a_system_without_these_files_has_no_limits(tmp_path):
    assert (machine.cores(tmp_path), machine.free_memory(tmp_path)) == (8, 16.384e9)
