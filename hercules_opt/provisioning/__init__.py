"""Stage 2: how many servers of each type serve each model in each interval.

Here: the ``problem`` and what is asked of its plan (``requirements``, ``objectives``), the ``plan``, and
``provision``, which gets from one to the other. Each folder uses those above it only:

- ``checking``: recompute what a plan claims, without the code that found it;
- ``programs``: one interval as an integer program in exact numbers, and its relaxations;
- ``solvers``: solvers of programs by name, and exact answers from those that round;
- ``engine``: our own solver, branch and price, which leaves a proof;
- ``policies``: how the servers of one interval are chosen, by name;
- ``files``: plans and programs as files;
- ``answers``: compare, diff, explain, what-if.
"""
