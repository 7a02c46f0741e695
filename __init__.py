"""Clustrio: a Redis Cluster that you can pip install."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tools.local.cluster import LocalCluster as LocalCluster

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`clustrio.LocalCluster`, loaded when it is asked for."""
    if name == "LocalCluster":
        from importlib import import_module

        return getattr(import_module("clustrio.tools.local.cluster"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
