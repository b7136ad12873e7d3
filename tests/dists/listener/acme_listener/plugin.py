"""Offers nothing and only listens; raises at one event, and does not know one it advertises."""

from tramontane.plugin import hookimpl


@hookimpl
def model_loaded(report: object) -> None:
    raise RuntimeError(f"acme-listener does not like {report}")


@hookimpl
def request_finished(result: object) -> None:
    print(f"acme-listener heard of {result}")
