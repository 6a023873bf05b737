"""Pipelines: their text, their order, what instruments see, and the search for a wrong rewrite."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import optc
from optc import config, pipeline
from optc.eager.dispatch import wrap
from optc.errors import VerifyError
from optc.instruments import Compare, Dump, Limit, Print, Time, Verify, bisect, instruments_from_environment
from optc.ir.graph import Graph
from optc.ir.parser import parse_graph
from optc.passes import pipelines
from optc.pipeline import PipelineError, Repeat, Step, all_passes, find_pass, graph_pass, parse_pipeline, run
from optc.rewrite import Pair, RuleSet, Tensor, apply_rules, rule

TEXT = """
graph(%x : Float(2, 3)):
  %a : Float(2, 3) = aten::mul(%x, 1)
  %b : Float(2, 3) = aten::mul(%a, 1)
  %c : Float(2, 3) = aten::add(%b, tensor([1.0, 2.0, 3.0]), 1)
  %unused : Float(2, 3) = aten::exp(%c)
  return (%c)
"""

wrong_rules = RuleSet("wrong")


@rule(wrong_rules, examples=[{"x": (2, 3)}])
def add_for_relu(x: Tensor) -> Pair:
    """relu(x) = -x  (wrong)"""
    from optc.rewrite import aten

    return aten.relu(x), -x


@pytest.fixture(autouse=True)
def no_leftover_passes() -> Iterator[None]:
    """Passes and pipelines that a test declares disappear with it."""
    registries = (pipeline._passes, pipeline._aliases, pipeline._pipelines)
    before = [dict(registry) for registry in registries]
    yield
    for registry, known in zip(registries, before):
        registry.clear()
        registry.update(known)


def graph() -> Graph:
    return parse_graph(TEXT)


def test_pipeline_text_has_options_repeats_and_names() -> None:
    items = parse_pipeline("loop-unrolling{trips=2, nodes=5}, repeat(cse, dce)")
    assert isinstance(items[0], Step) and items[0].options == {"trips": 2, "nodes": 5}
    assert isinstance(items[1], Repeat)
    assert ", ".join(map(str, items)) == (
        "loop-unrolling{trips=2, nodes=5}, repeat(common-subexpressions, dead-code-elimination)"
    )
    assert len(parse_pipeline("default")) > 10


def test_pipeline_text_says_what_its_names_mean_now() -> None:
    pipeline.name_pipeline("ours", "inline, cse")
    assert ", ".join(map(str, parse_pipeline("ours"))) == "inline, common-subexpressions"
    pipeline.name_pipeline("ours", "dce")
    assert ", ".join(map(str, parse_pipeline("ours"))) == "dead-code-elimination"
    for _ in range(2):
        pipeline._passes.pop("does-nothing", None)
        declared = graph_pass("does-nothing")(_does_nothing())
        assert parse_pipeline("does-nothing") == (Step(find_pass("does-nothing")),)
        assert find_pass("does-nothing").function is declared


def _does_nothing() -> Callable[[Graph], bool]:
    def does_nothing(graph: Graph) -> bool:
        """Do nothing."""
        return False

    return does_nothing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("canonicalise", "there is no pass 'canonicalise'; did you mean canonicalize"),
        ("loop-unrolling{limit=3}", "has no option 'limit' .it has: trips, nodes"),
        ("loop-unrolling{trips=many}", "must be of type int"),
        ("repeat(cse", "it ends too early|expected"),
        ("cse)", "expected ','"),
        ("cse dce", "expected ','"),
        ("cse; dce", "unexpected ';'"),
    ],
)
def test_malformed_pipelines_are_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        parse_pipeline(text)


def test_passes_out_of_order_are_refused_with_the_reason() -> None:
    with pytest.raises(PipelineError, match="functionalize must come after inline: a call may write to its arguments"):
        parse_pipeline("functionalize, inline")


def test_every_pass_has_a_sentence_and_lives_in_a_file_of_its_name() -> None:
    passes = all_passes()
    assert {"inline", "freeze", "functionalize", "constant-folding", "dead-code-elimination"} <= {
        p.name for p in passes
    }
    for item in passes:
        assert item.summary.endswith("."), item.name
        assert item.function.__module__ == f"optc.passes.{item.name.replace('-', '_')}"
        for reason in item.after.values():
            assert reason


def test_every_pass_is_part_of_the_default_pipeline_or_of_that_of_frozen_modules() -> None:
    def names(items: Sequence[pipeline.Item]) -> set[str]:
        return set().union(*(names(i.items) if isinstance(i, Repeat) else {i.target.name} for i in items))

    used = names(parse_pipeline("default")) | names(parse_pipeline(pipelines.WITH_ROUNDING))
    assert used == {item.name for item in all_passes()}


def test_named_passes_of_the_commission_exist() -> None:
    for name in ("constant-folding", "dead-code-elimination", "addmm-fusion", "loop-invariant-hoisting"):
        assert find_pass(name).name == name


def test_records_say_what_changed_and_show_it() -> None:
    records = run(graph(), "canonicalize, cse, dce")
    assert [(record.name, record.changed) for record in records] == [
        ("canonicalize", True),
        ("common-subexpressions", True),
        ("dead-code-elimination", True),
    ]
    assert records[0].rewrites == {"multiply_by_one": 2}
    assert "aten::exp" in records[2].before and "aten::exp" not in records[2].after
    assert "-  %unused" in records[2].diff()
    assert records[0].seconds > 0


def test_repeat_ends_when_nothing_changes() -> None:
    records = run(graph(), "repeat(canonicalize, dce)")
    assert [record.changed for record in records[-2:]] == [False, False]


def test_repeat_that_never_settles_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    @graph_pass("restless")
    def restless(graph: Graph) -> bool:
        """Say that something changed."""
        return True

    monkeypatch.setenv("OPTC_VERIFY", "1")
    with pytest.raises(PipelineError, match="still changes the graph after 64 rounds: restless"):
        run(graph(), "repeat(restless)")


def test_repeats_around_one_that_never_settles_end_soon() -> None:
    @graph_pass("turning")
    def turning(graph: Graph) -> bool:
        """Exchange the operands of the first node, for ever."""
        first = next(node for node in graph.nodes if node.kind == "aten::mul")
        first.set_inputs([*reversed(first.inputs)])
        return True

    records = run(graph(), "repeat(repeat(repeat(turning)))")
    assert pipeline.REPEAT_CAP <= len(records) < 2 * pipeline.REPEAT_CAP


def test_verify_catches_a_pass_that_breaks_the_graph() -> None:
    @graph_pass("breaking")
    def breaking(graph: Graph) -> bool:
        """Move the last node to the front."""
        first, *_, last = list(graph.nodes)
        last.move_before(first)
        return True

    with pytest.raises(VerifyError) as caught:
        run(graph(), "breaking", [Verify()])
    assert "in pass breaking (number 1 of this pipeline)" in caught.value.__notes__


def test_verify_catches_a_pass_that_denies_its_change() -> None:
    @graph_pass("lying")
    def lying(graph: Graph) -> bool:
        """Remove the unused node."""
        list(graph.nodes)[-1].destroy()
        return False

    run(graph(), "lying", [Verify(1)])
    with pytest.raises(VerifyError, match="lying changed the graph but said that it did not"):
        run(graph(), "lying", [Verify(2)])


def test_compare_catches_a_wrong_pass() -> None:
    @graph_pass("halving")
    def halving(graph: Graph) -> bool:
        """Forget the addition."""
        node = graph.outputs[0].node
        node.output.replace_all_uses_with(node.inputs[0])
        return True

    x = wrap(np.ones((2, 3), np.float32))
    run(graph(), "canonicalize, dce", [Compare([x])])
    with pytest.raises(VerifyError, match=r"halving changed what the program computes: result 0: .* at \[0, 0\]"):
        run(graph(), "halving", [Compare([x])])


def test_print_shows_the_passes_asked_for() -> None:
    stream = io.StringIO()
    run(graph(), "canonicalize, cse, dce", [Print("dce", stream)])
    assert stream.getvalue().startswith("# after dead-code-elimination\ngraph(")
    assert "canonicalize" not in stream.getvalue()


def test_dump_writes_numbered_files(tmp_path: Path) -> None:
    run(graph(), "canonicalize, branch-simplification, dce", [Dump(tmp_path)])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["00-input.ir", "01-canonicalize.ir", "02-dead-code-elimination.ir"]
    assert parse_graph((tmp_path / names[0]).read_text())


def test_time_adds_up_by_pass() -> None:
    stream = io.StringIO()
    run(graph(), "repeat(canonicalize, dce)", [Time(stream)])
    assert len(stream.getvalue().splitlines()) == 2


def test_limit_counts_pass_runs() -> None:
    assert [record.name for record in run(graph(), "canonicalize, cse, dce", [Limit(2)])] == [
        "canonicalize",
        "common-subexpressions",
    ]


def test_limit_counts_rewrites_of_one_pass() -> None:
    records = run(graph(), "canonicalize, dce", [Limit(1, "canonicalize")])
    assert records[0].rewrites == {"multiply_by_one": 1}
    assert records[1].changed


def test_bisect_finds_the_pass_and_the_rewrite() -> None:
    @graph_pass("wrong")
    def wrong(graph: Graph) -> bool:
        """Apply right rules and a wrong one."""
        from optc.passes.canonicalize import RULES

        return apply_rules(graph, [*RULES, *wrong_rules])

    text = """
    graph(%x : Float(2)):
      %a : Float(2) = aten::mul(%x, 1)
      %b : Float(2) = aten::relu(%a)
      %c : Float(2) = aten::mul(%b, 1)
      return (%c)
    """

    def is_good(found: Graph) -> bool:
        return not any(node.kind == "aten::neg" for node in found.walk())

    culprit = bisect(parse_graph(text), "cse, wrong, dce", is_good)
    assert (culprit.name, culprit.run_number, culprit.rewrite_number) == ("wrong", 2, 2)
    assert str(culprit) == "wrong, rewrite 2: rule add_for_relu (pass run 2)"


def test_bisect_refuses_what_is_not_broken() -> None:
    with pytest.raises(PipelineError, match="good after the whole pipeline"):
        bisect(graph(), "cse", lambda found: True)
    with pytest.raises(PipelineError, match="bad before the first pass"):
        bisect(graph(), "cse", lambda found: False)


def test_environment_brings_instruments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "VERIFY": "2",
        "PRINT": "all",
        "DUMP": str(tmp_path),
        "TIME": "1",
        "PASS_LIMIT": "cse=3",
    }.items():
        monkeypatch.setenv(f"OPTC_{name}", value)
    kinds = [type(instrument) for instrument in instruments_from_environment()]
    assert kinds == [Limit, Verify, Print, Dump, Time]


def test_pipeline_can_be_replaced_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTC_PASSES", "cse")
    assert [record.name for record in pipelines.optimize(graph()).records] == ["common-subexpressions"]


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        (config.VERIFY, "2", 2),
        (config.TIME, "yes", True),
        (config.PASS_LIMIT, "12", ("", 12)),
        (config.PASS_LIMIT, "canonicalize=3", ("canonicalize", 3)),
        (config.NUM_THREADS, "", 0),
    ],
)
def test_variables_parse(
    variable: config.Variable[object], text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable.name, text)
    assert variable() == value


def test_bad_values_of_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTC_VERIFY", "maybe")
    with pytest.raises(ValueError, match="OPTC_VERIFY='maybe' is not valid: use 0, 1 or 2"):
        config.VERIFY()


def test_every_variable_is_documented() -> None:
    for variable in config.variables():
        assert variable.name.startswith("OPTC_") and variable.documentation


def test_pass_that_found_nothing_is_not_asked_again_about_the_same_graph() -> None:
    records = run(graph(), "branch-simplification, branch-simplification, canonicalize, branch-simplification")
    assert [record.name for record in records] == ["branch-simplification", "canonicalize", "branch-simplification"]


class Normal(optc.nn.Module):
    """Operators that read one list of dimensions: passes must not give and take it in turns."""

    def forward(self, x: optc.Tensor) -> optc.Tensor:
        y = optc.nn.functional.layer_norm(x, [8])
        return optc.softmax(optc.nn.functional.gelu(y) + x, dim=-1)


def test_the_default_pipeline_settles_soon() -> None:
    fast = optc.compile(optc.jit.script(Normal()))
    fast(optc.ones(4, 8))
    assert len(fast.passes) < 200
