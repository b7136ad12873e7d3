"""Where caches go."""

from pathlib import Path

from tramontane.system import paths as folders


def test_the_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.delenv("TRAMONTANE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert folders.cache() == Path.home() / ".cache" / "tramontane"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert folders.cache() == Path.home() / ".cache" / "tramontane"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert folders.cache() == Path("/xdg/tramontane")
    monkeypatch.setenv("TRAMONTANE_CACHE", "~/mine")
    assert folders.cache() == Path.home() / "mine"
