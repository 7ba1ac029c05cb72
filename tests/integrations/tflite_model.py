"""The smallest model that LiteRT runs: y = x + x, written by the package's own schema."""

from typing import Any


def doubled(n: int) -> bytes:
    """A model of one operator, with n inputs ``x``, n outputs ``y``, and the signature
    ``serving_default``.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version, model.description = 3, b"y = x + x"
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    code.version = 1
    model.operatorCodes = [code]
    model.buffers = [schema.BufferT() for _ in range(3)]
    graph = schema.SubGraphT()
    graph.name = b"main"
    graph.tensors = [tensor(schema, name, n, number) for number, name in enumerate((b"x", b"y"), 1)]
    graph.inputs, graph.outputs = [0], [1]
    add = schema.OperatorT()
    add.opcodeIndex, add.inputs, add.outputs = 0, [0, 0], [1]
    add.builtinOptionsType, add.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph.operators = [add]
    model.subgraphs = [graph]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    signature.inputs, signature.outputs = [named(schema, b"x", 0)], [named(schema, b"y", 1)]
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor(schema: Any, name: bytes, n: int, buffer: int) -> Any:
    made = schema.TensorT()
    made.name, made.shape, made.type, made.buffer = name, [n], schema.TensorType.FLOAT32, buffer
    return made


def named(schema: Any, name: bytes, index: int) -> Any:
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name, index
    return made
