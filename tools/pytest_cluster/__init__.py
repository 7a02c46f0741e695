"""The pytest plugin: clusters as fixtures.

`plugin.py` is what pytest loads, `factories.py` makes fixtures of other shapes:

    from clustrio.tools.pytest_cluster import factories

    big_proc = factories.redis_cluster_proc(masters=6, replicas=0)
    big = factories.redis_cluster("big_proc")
"""
