"""Where the one function of the pipeline runs: in processes of this machine, or on a Spark cluster.

Engines know neither formats nor meaning: they hand a picklable function one piece of work after the other and
bring back what it made of them, in order.
"""
