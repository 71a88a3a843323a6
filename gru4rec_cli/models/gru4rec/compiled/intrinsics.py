"""Single instructions for compiled loops that numba has no name for.

`place` is one in the array laid flat; arrays are C-contiguous.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_WHOLE = ir.IntType(32)


def _address(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    return builder.gep(data, [arguments[1]])


def _fetch(_typing: Any, array: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature, arguments)
        kind = ir.FunctionType(ir.VoidType(), [address.type, _WHOLE, _WHOLE, _WHOLE])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [address.type], kind)
        to_read, keep, data_cache = (ir.Constant(_WHOLE, value) for value in (0, 3, 1))
        builder.call(prefetch, [address, to_read, keep, data_cache])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def _load(_typing: Any, array: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_address(context, builder, signature, arguments), "acquire", 8)

    return types.int64(array, types.int64), generate


def _store(_typing: Any, array: Any, place: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[2], _address(context, builder, signature, arguments), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


def _nearest(_typing: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.call(builder.module.declare_intrinsic("llvm.rint", [arguments[0].type]), arguments)

    return types.float32(types.float32), generate


def _power_of_two(_typing: Any, n: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        exponent = builder.add(builder.fptosi(arguments[0], _WHOLE), ir.Constant(_WHOLE, 127))
        return builder.bitcast(builder.shl(exponent, ir.Constant(_WHOLE, 23)), ir.FloatType())

    return types.float32(types.float32), generate


# (array, place): begin to bring a cache line in; nobody waits for it
fetch: Any = intrinsic(_fetch)
# (array, place): an int64, and with it everything that its writer wrote before
load_acquire: Any = intrinsic(_load)
# (array, place, value): an int64, after everything that was written before
store_release: Any = intrinsic(_store)
# the nearest whole number of a float32
nearest: Any = intrinsic(_nearest)
# 2^n of a whole float32 n in [-126, 127], by its exponent bits
power_of_two: Any = intrinsic(_power_of_two)
