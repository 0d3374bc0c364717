"""Models that run in this process: catalogue, cache and conversion; embeddings, generation, and who serves them.

Rule: numpy, ctranslate2, faiss and tokenizers are imported here and nowhere else, and only once a model is used:
`archc --help`, `Registry.load()` and a graph without local models never pay for them.
Rule: numpy computes in the thread that asks it. What is multiplied here is small, and threads of its own that wait for
each other would cost more than they compute: 12 ms of CPU where one needs 1.
Rule: nothing here needs torch, and no package that carries weights is ever imported.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
