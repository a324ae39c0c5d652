"""When two versions are one."""

from dataclasses import replace

import pytest

from models.registry.version import Version

ONE = Version("casting-defects", "1", "run-1", {})


@pytest.mark.parametrize("changed", [{"name": "n"}, {"number": "2"}, {"run_id": "run-2"}])
def test_another_name_number_or_run_is_another_version(changed):
    assert not ONE.is_same(replace(ONE, **changed))


def test_tags_may_change():
    assert ONE.is_same(replace(ONE, tags={"previous": "none"}))
