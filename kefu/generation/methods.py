"""Ways to fine-tune a generator, through peft: how each begins, goes on from an earlier one, and is saved.

lora      low-rank matrices beside the projections (Hu et al., 2021)
adalora   the same with the rank dealt out to where it counts (Zhang et al., 2023)
prefix    keys and values before the prompt (Li and Liang, 2021); cannot be merged, see kefu.generation.prefix
full      every weight; the folder then holds a whole model
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kefu.errors import SettingsError
from kefu.generation.adapter import WEIGHTS, check_adapter, method_of

if TYPE_CHECKING:
    from kefu.generation.training import GeneratorTrainingArguments

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
METHODS = ("lora", "adalora", "prefix", "full")
# Of AdaLoRA: shares of the steps before ranks begin to fall and after they are settled, and the start over the goal.
_FIRST, _LAST, _ABOVE = 0.1, 0.3, 1.5


def adapted(arguments: GeneratorTrainingArguments, steps: int, dtype: Any, masters: bool) -> tuple[Any, Any]:
    """(model to train, tokenizer).

    Args:
        steps: of the whole training.
        dtype: of the base model.
        masters: small new weights stay in ``dtype`` too; else they are float32.

    Raises:
        SettingsError: the method cannot go on from ``start_from``.
        ModelNotFound, ModelCorrupt: of the base model or of the one to start from.
    """
    import peft

    from kefu.generation.loading import load_base

    start = Path(arguments.start_from) if arguments.start_from else None
    if start is not None:
        _check_start(start, arguments)
    if arguments.method == "full":
        model, tokenizer = load_base(str(start) if start else arguments.base, dtype)
    else:
        model, tokenizer = load_base(arguments.base, dtype)
        extra: dict[str, Any] = {"autocast_adapter_dtype": not masters}
        if start is not None:
            model = peft.PeftModel.from_pretrained(model, str(start), is_trainable=True, **extra)
        else:
            model = peft.get_peft_model(model, _config(arguments, steps, model.config), **extra)
    if arguments.checkpointing:
        causal = model.get_base_model() if hasattr(model, "get_base_model") else model
        causal.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model, tokenizer


def _check_start(start: Path, arguments: GeneratorTrainingArguments) -> None:
    before = method_of(check_adapter(start, arguments.base))
    if before != arguments.method:
        raise SettingsError(f"'--start-from' has value {str(start)!r}, which is {before}: give --method {before}.")
    if before == "adalora":
        raise SettingsError(
            f"'--start-from' has value {str(start)!r}, which is adalora: its ranks are settled and it cannot go on. "
            "Start afresh, or from an adapter of lora."
        )


def _config(arguments: GeneratorTrainingArguments, steps: int, base: Any) -> Any:
    import peft

    rank = arguments.rank
    common: dict[str, Any] = {"lora_dropout": arguments.dropout, "target_modules": list(PROJECTIONS)}
    common["task_type"] = "CAUSAL_LM"
    if arguments.method == "prefix":
        heads = base.num_key_value_heads
        # Gemma's heads are wider than its hidden size over their number, which peft would take.
        size = getattr(base, "head_dim", None) or base.hidden_size // base.num_attention_heads
        return peft.PrefixTuningConfig(
            num_virtual_tokens=arguments.prefix_tokens,
            num_attention_heads=heads,
            token_dim=heads * size,
            num_layers=base.num_hidden_layers,
            task_type="CAUSAL_LM",
        )
    if arguments.method == "adalora":
        return peft.AdaLoraConfig(
            init_r=int(_ABOVE * rank),
            target_r=rank,
            lora_alpha=2 * rank,
            tinit=int(_FIRST * steps),
            tfinal=int(_LAST * steps),
            deltaT=max(1, steps // 100),
            total_step=steps,
            **common,
        )
    return peft.LoraConfig(r=rank, lora_alpha=2 * rank, **common)


def penalty(model: Any) -> Any:
    """AdaLoRA's: how far its matrices are from orthogonal, weighted; 0 for the other methods."""
    import torch

    config = getattr(model, "peft_config", {}).get("default")
    if config is None or config.peft_type != "ADALORA":
        return 0.0
    distances = []
    for name, matrix in model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            product = matrix @ matrix.T if "lora_A" in name else matrix.T @ matrix
            distances.append(torch.linalg.norm(product - torch.eye(len(product), device=product.device)))
    return config.orth_reg_weight * sum(distances) / len(distances)


def deal_ranks(model: Any, step: int) -> None:
    """Lets AdaLoRA take rank away where it counts least; to be called while the gradients are there."""
    if getattr(model, "peft_config", {}).get("default") is not None and hasattr(
        model.base_model, "update_and_allocate"
    ):
        model.base_model.update_and_allocate(step)


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """adapter_config.json and adapter_model.safetensors (float16), or a whole model; replaces an earlier one."""
    import warnings

    import torch
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    if not hasattr(model, "peft_config"):
        (out / WEIGHTS).unlink(missing_ok=True)
        (out / "adapter_config.json").unlink(missing_ok=True)
        model.save_pretrained(str(out))
        tokenizer.save_pretrained(str(out))
        return
    from peft import get_peft_model_state_dict

    (out / "model.safetensors").unlink(missing_ok=True)
    config = model.peft_config["default"]
    inference, config.inference_mode = config.inference_mode, True
    config.save_pretrained(str(out))
    config.inference_mode = inference
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*invalid shape")  # AdaLoRA leaves some projections no rank at all
        found = get_peft_model_state_dict(model)
    state = {k: v.detach().to(torch.float16).contiguous().cpu() for k, v in found.items()}
    save_file(state, str(out / WEIGHTS), metadata={"format": "pt"})
