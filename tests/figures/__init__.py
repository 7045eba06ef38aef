"""`make bench`: the performance figures P1 to P11, each against what it must keep, on this machine, in one run.

    make bench                                      everything, about eleven minutes on two quiet cores
    make bench ARGS="--quick"                       one short run of each instead of three, about three minutes
    make bench ARGS="--only P4 --json out.json"

One module a figure: `p1_throughput` to `p11_replay`, and `gate`, which holds what others publish. `shop` is the site
that they all decide for, `stage` starts nodes, hubs and load as processes on cores of their own, `floors` measures what
no decision can be cheaper than, `peers` what others need for the model alone, `curves` how cost grows. `figure` is what
a measurement comes to; `sheet` prints it and `page` draws it. It stands beside the tests because it needs both halves
of Edgewise, which never import each other, and it ships with neither.
"""
