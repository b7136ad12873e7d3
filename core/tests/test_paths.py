"""Where caches go."""

from pathlib import Path

from tramontane.system import paths


def test_the_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.delenv("TRAMONTANE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert paths.cache() == Path.home() / ".cache" / "tramontane"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert paths.cache() == Path.home() / ".cache" / "tramontane"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert paths.cache() == Path("/xdg/tramontane")
    monkeypatch.setenv("TRAMONTANE_CACHE", "~/mine")
    assert paths.cache() == Path.home() / "mine"
