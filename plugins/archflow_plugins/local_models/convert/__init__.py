"""Weights of other runtimes, made into a CTranslate2 folder with numpy alone.

Readers (`safetensors`, `gguf`, `onnx`) give tensors by name, row by row; `encoder` and `decoder` say which tensor goes
where; `tokenizer` rebuilds tokenizer.json; `write` quantises and writes; `folder` looks at what a path holds and calls
them in order.

Rule: a reader believes no number of a file before it has compared it with the file's size.
Rule: no more than one tensor is in memory, and of its float32 form no more than a block of rows.
Rule: the same input gives the same bytes on every machine: nothing here writes a time, a path or a version.
"""
