"""Registration of mase-opt's dialects and passes, found through `xdsl.universe`."""

from collections.abc import Callable
from importlib import import_module

from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.universe import Universe


def _mase() -> Dialect:
    from mase_opt.dialects.mase import Mase

    return Mase


def _stream() -> Dialect:
    from mase_opt.dialects.stream import Stream

    return Stream


def _torch() -> Dialect:
    from mase_opt.dialects.torch import Torch

    return Torch


def _pass(module: str, name: str) -> Callable[[], type[ModulePass]]:
    """The pass class `name` of `mase_opt.<module>`, imported when asked for."""
    return lambda: getattr(import_module(f"mase_opt.{module}"), name)


UNIVERSE = Universe(
    all_dialects={"mase": _mase, "stream": _stream, "torch": _torch},
    all_passes={
        # mase to hardware
        "convert-mase-to-hw": _pass(
            "lib.conversion.convert_mase_to_hw", "ConvertMaseToHwPass"
        ),
        "convert-mase-to-stream": _pass(
            "lib.conversion.convert_mase_to_stream", "ConvertMaseToStreamPass"
        ),
        "convert-stream-to-hw": _pass(
            "lib.conversion.convert_stream_to_hw", "ConvertStreamToHwPass"
        ),
        # dialect to dialect
        "convert-torch-to-mase": _pass(
            "lib.conversion.convert_torch_to_mase", "ConvertTorchToMasePass"
        ),
        # mase to mase
        "mase-allocate-parallelism": _pass(
            "lib.transforms.mase_allocate_parallelism", "MaseAllocateParallelismPass"
        ),
        "mase-build-adder-graphs": _pass(
            "lib.transforms.mase_build_adder_graphs", "MaseBuildAdderGraphsPass"
        ),
        "mase-calibrate": _pass("lib.transforms.mase_calibrate", "MaseCalibratePass"),
        "mase-clip": _pass("lib.transforms.mase_clip", "MaseClipPass"),
        "mase-correct-bias": _pass(
            "lib.transforms.mase_correct_bias", "MaseCorrectBiasPass"
        ),
        "mase-decompose-normalizations": _pass(
            "lib.transforms.mase_decompose_normalizations",
            "MaseDecomposeNormalizationsPass",
        ),
        "mase-equalize": _pass("lib.transforms.mase_equalize", "MaseEqualizePass"),
        "mase-fold-batch-norm": _pass(
            "lib.transforms.mase_fold_batch_norm", "MaseFoldBatchNormPass"
        ),
        "mase-gptq": _pass("lib.transforms.mase_gptq", "MaseGptqPass"),
        "mase-lower-block-arithmetic": _pass(
            "lib.transforms.mase_lower_block_arithmetic", "MaseLowerBlockArithmeticPass"
        ),
        "mase-lower-to-lookup": _pass(
            "lib.transforms.mase_lower_to_lookup", "MaseLowerToLookupPass"
        ),
        "mase-profile-statistics": _pass(
            "lib.transforms.mase_profile_statistics", "MaseProfileStatisticsPass"
        ),
        "mase-prune": _pass("lib.transforms.mase_prune", "MasePrunePass"),
        "mase-quantize": _pass("lib.transforms.mase_quantize", "MaseQuantizePass"),
        "mase-report-quantization": _pass(
            "lib.transforms.mase_report_quantization", "MaseReportQuantizationPass"
        ),
        "mase-search": _pass("search.mase_search", "MaseSearchPass"),
        "mase-set-recipe": _pass("lib.transforms.mase_set_recipe", "MaseSetRecipePass"),
        "mase-smooth": _pass("lib.transforms.mase_smooth", "MaseSmoothPass"),
        "mase-summarize-graph": _pass(
            "lib.transforms.mase_summarize_graph", "MaseSummarizeGraphPass"
        ),
        "mase-summarize-operations": _pass(
            "lib.transforms.mase_summarize_operations", "MaseSummarizeOperationsPass"
        ),
        "mase-summarize-quantization": _pass(
            "lib.transforms.mase_summarize_quantization",
            "MaseSummarizeQuantizationPass",
        ),
        # stream to stream
        "stream-size-fifos": _pass(
            "lib.transforms.stream_size_fifos", "StreamSizeFifosPass"
        ),
    },
)
