"""Execution of one step: mapped over its inputs, with bad inputs set aside."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sofia_engine.errors import CancelledError, SessionError, SofiaDeskError, StepError
from sofia_engine.pipeline.events import InputSkipped, Progress, Sink, ignore
from sofia_engine.pipeline.memory_guard import forget_pages
from sofia_engine.pipeline.parameters import Parameters
from sofia_engine.pipeline.recipe import Recipe
from sofia_engine.pipeline.references import wanted_by
from sofia_engine.pipeline.run import Attachment, Cancel, Companion, ReferenceUse, Run
from sofia_engine.pipeline.stamping import stamp
from sofia_engine.pipeline.step import Step
from sofia_engine.product import Product
from sofia_engine.quality import measure_quality
from sofia_engine.reference import ReferenceStore

__all__ = ["Outcome", "Surroundings", "execute"]


@dataclass(frozen=True)
class Surroundings:
    """What a reduction gives each of its steps."""

    store: ReferenceStore
    sink: Sink = ignore
    cancel: Cancel = field(default_factory=Cancel)
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Inputs worked on side by side."""
    storage: Callable[[Product], Product] | None = None
    """Where results go as soon as they are made, if memory is short; they come back mapped from disk."""
    place: tuple[int, int] | None = None
    """Where only one of the inputs is given: its position among them, and how many there are."""


@dataclass(frozen=True)
class Outcome:
    """What a step made of its inputs."""

    products: tuple[Product, ...]
    made: tuple[bool, ...]
    """For each product whether the step made it (True) or passed it on (False)."""
    warnings: tuple[str, ...] = ()
    references: tuple[ReferenceUse, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    quality: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True)
class _Call:
    inputs: tuple[Product, ...]
    outputs: tuple[Product, ...]
    run: Run
    quality: tuple[dict[str, float], ...]
    """Numbers of each output."""


def execute(
    step: Step, recipe: Recipe, products: Sequence[Product], parameters: Parameters, around: Surroundings
) -> Outcome:
    """Run one step.

    Parameters
    ----------
    step : Step
        The step.
    recipe : Recipe
        The recipe it belongs to; names the products.
    products : sequence of Product
        Inputs.
    parameters : Parameters
        Of the step's own model.
    around : Surroundings
        Reference files, listeners, cancellation.

    Raises
    ------
    StepError
        If none of the inputs could be used, or there are none.
    CancelledError
        If the user stopped it.
    """
    if not products:
        raise StepError(f"{step.label}: there is no input to process.")
    if step.maps:
        calls, skipped = _map(step, products, parameters, around)
    else:
        calls, skipped = [_call_all(step, products, parameters, around)], []
    return _collect(step, recipe, parameters, calls, skipped)


def _map(
    step: Step, products: Sequence[Product], parameters: Parameters, around: Surroundings
) -> tuple[list[_Call], list[tuple[str, str]]]:
    def call(position: int) -> _Call | SofiaDeskError:
        product = products[position]
        place, count = around.place or (position, len(products))
        run = _make_run(step, product, around, position=place, count=count)
        try:
            return _release(_describe_call((product,), _call(step, product, (product,), parameters, run), run))
        except (CancelledError, SessionError):
            raise
        except SofiaDeskError as error:
            return error

    calls: list[_Call] = []
    skipped: list[tuple[str, str]] = []
    reasons: list[str] = []
    for number, (product, result) in enumerate(
        zip(products, _in_parallel(call, len(products), around.jobs), strict=True)
    ):
        if isinstance(result, _Call):
            calls.append(result)
        else:
            event = InputSkipped(step.key, product.name, str(result))
            skipped.append((event.file, event.reason))
            reasons.append(str(result))
            around.sink(event)
        around.sink(Progress(step.key, number + 1, len(products), product.name))
    if not calls:
        raise StepError("\n".join(dict.fromkeys(reasons)))
    return calls, skipped


def _call_all(step: Step, products: Sequence[Product], parameters: Parameters, around: Surroundings) -> _Call:
    inputs = tuple(products)
    run = _make_run(step, inputs[0], around)
    return _release(_describe_call(inputs, _call(step, inputs, inputs, parameters, run), run))


def _call(
    step: Step, argument: Any, inputs: tuple[Product, ...], parameters: Parameters, run: Run
) -> tuple[Product, ...]:
    """Call the function of a step and return what it made as a tuple."""

    def call() -> tuple[Product, ...]:
        run.wanted = wanted_by(step, inputs[0].header, parameters)
        made = step.function(argument, parameters, run)
        outputs = (made,) if isinstance(made, Product) else tuple(made)
        wrong = next((output for output in outputs if not isinstance(output, Product)), None)
        if wrong is not None:
            raise TypeError(f"a step returns products, not {type(wrong).__name__}")
        return outputs

    run.check_cancelled()
    made: tuple[Product, ...] = _guard(step, inputs[0].name, run, call)
    if not made:
        raise StepError(f"{step.label}: nothing usable is left of {inputs[0].name}.")
    return made


def _describe_call(inputs: tuple[Product, ...], outputs: tuple[Product, ...], run: Run) -> _Call:
    """Measure what was made; numbers that the step gave itself win, and hold for all it made."""
    told = {name: float(value) for name, value in run.quality.items()}
    measured = ({} if any(output is given for given in inputs) else measure_quality(output) for output in outputs)
    return _Call(inputs, outputs, run, tuple(numbers | told for numbers in measured))


def _release(call: _Call) -> _Call:
    """Let what a call made leave memory, and what it read, if memory is short."""
    if call.run.storage is None:
        return call
    outputs = tuple(output if _passes_on(call, output) else call.run.release(output) for output in call.outputs)
    for product in call.inputs:
        forget_pages(product)
    return replace(call, outputs=outputs)


def _make_run(step: Step, product: Product, around: Surroundings, *, position: int = 0, count: int = 1) -> Run:
    return Run(
        step=step.key,
        file=product.name,
        position=position,
        count=count,
        store=around.store,
        sink=around.sink,
        cancel=around.cancel,
        storage=around.storage,
    )


def _guard(step: Step, file: str, run: Run, call: Callable[[], Any]) -> Any:
    """Call a step; an unforeseen error becomes one sentence, with the details in the log."""
    try:
        return call()
    except SofiaDeskError:
        raise
    except MemoryError:
        raise StepError(
            f"{step.label}: there is not enough memory for {file}; close other programs or reduce fewer files at once."
        ) from None
    except Exception as error:
        run.debug(traceback.format_exc())
        raise StepError(
            f"{step.label} failed on {file} for a reason nobody foresaw ({type(error).__name__}: {error}); "
            "please report it with the log file."
        ) from error


def _in_parallel(call: Callable[[int], Any], count: int, jobs: int) -> Iterable[Any]:
    workers = min(jobs, count)
    if workers <= 1:
        return map(call, range(count))
    return _in_threads(call, count, workers)


def _in_threads(call: Callable[[int], Any], count: int, workers: int) -> Iterator[Any]:
    with ThreadPoolExecutor(workers, thread_name_prefix="step") as pool:
        yield from pool.map(call, range(count))


def _collect(
    step: Step, recipe: Recipe, parameters: Parameters, calls: Sequence[_Call], skipped: Sequence[tuple[str, str]]
) -> Outcome:
    products: list[Product] = []
    made: list[bool] = []
    taken = {output.name for call in calls for output in call.outputs if _passes_on(call, output)}
    for call in calls:
        for position, output in enumerate(call.outputs):
            passed_on = _passes_on(call, output)
            made.append(step.makes_products and not passed_on)
            products.append(output if passed_on else _stamp(step, recipe, parameters, call, position, taken))
    runs = [call.run for call in calls]
    return Outcome(
        products=tuple(products),
        made=tuple(made),
        warnings=tuple(warning for run in runs for warning in run.warnings),
        references=tuple({use.role + use.sha256: use for run in runs for use in run.references}.values()),
        attachments=tuple(
            attachment
            for call in calls
            for attachment in [*call.run.attachments, *_encode_companions(step, recipe, parameters, call)]
        ),
        skipped=(*skipped, *(aside for run in runs for aside in run.skipped)),
        quality=tuple(numbers for call in calls for numbers in call.quality),
    )


def _passes_on(call: _Call, output: Product) -> bool:
    return any(output is given for given in call.inputs)


def _stamp(step: Step, recipe: Recipe, parameters: Parameters, call: _Call, position: int, taken: set[str]) -> Product:
    output = call.outputs[position]
    step = _specify(step, call.run)

    def finish() -> Product:
        name = _distinct(_name(step, recipe, call, position), taken) if step.makes_products else ""
        return stamp(output, step, parameters, history=call.run.history_lines, name=name)

    stamped: Product = _guard(step, output.name, call.run, finish)
    return stamped


def _specify(step: Step, run: Run) -> Step:
    """Return the step with the code, type and level that its function has asked for."""
    if run.kind is None:
        return step
    code, product_type, level = run.kind
    return replace(step, code=code or step.code, product_type=product_type or step.product_type, level=level)


def _encode_companions(step: Step, recipe: Recipe, parameters: Parameters, call: _Call) -> Iterator[Attachment]:
    """Yield the further products of a call as files."""
    sources = [product.name for product in call.inputs]
    for companion in call.run.companions:
        name = recipe.output_name(companion.product.header, sources, companion.code)
        made = _guard(step, name, call.run, partial(_encode_companion, step, parameters, call, companion, name))
        yield made


def _encode_companion(step: Step, parameters: Parameters, call: _Call, companion: Companion, name: str) -> Attachment:
    kind = replace(step, code=companion.code, product_type=companion.product_type, level=companion.level)
    product = stamp(companion.product, kind, parameters, history=call.run.history_lines, name=name)
    return Attachment(name, product.encode())


def _name(step: Step, recipe: Recipe, call: _Call, position: int) -> str:
    same_count = len(call.outputs) == len(call.inputs)
    if position in call.run.sources:
        return recipe.output_name(call.outputs[position].header, call.run.sources[position], step.code)
    sources = [call.inputs[position].name] if same_count else [product.name for product in call.inputs]
    return recipe.output_name(call.outputs[position].header, sources, step.code)


def _distinct(wanted: str, taken: set[str]) -> str:
    """Return a file name that no other product has (inputs without file numbers would all give the same)."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted.removesuffix('.fits')}_{number}.fits"
    taken.add(name)
    return name
