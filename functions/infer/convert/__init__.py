"""Makes graphs for backends: out of published checkpoints, for an NPU, and in 8 bits.

Only `koubo models convert` and `koubo convert` come here. What needs torch is in modules that say
so; they are imported when they are used, and want the extra `convert`.
"""
