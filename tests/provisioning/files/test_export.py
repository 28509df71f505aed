"""Programs as files: other solvers read them back and find the same power; names and figures are readable."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from provisioning_cases import medium_problem, tiny_problem

import hercules_opt as ho
from hercules_opt.provisioning.files.export import decimal_text

MODEL = Path(__file__).parents[3] / "formulations" / "provisioning.mod"

#: Reads files of a folder, solves each, prints {name: power or null}; GLPK reads LP, MPS and GMPL.
GLPK = """
import json, sys
from pathlib import Path
import swiglpk as glpk
glpk.glp_term_out(glpk.GLP_OFF)
found = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    problem = glpk.glp_create_prob()
    if path.suffix == ".lp":
        assert glpk.glp_read_lp(problem, None, str(path)) == 0, path
    elif path.suffix == ".mps":
        assert glpk.glp_read_mps(problem, glpk.GLP_MPS_FILE, None, str(path)) == 0, path
    else:
        tran = glpk.glp_mpl_alloc_wksp()
        assert glpk.glp_mpl_read_model(tran, sys.argv[2], 1) == 0
        assert glpk.glp_mpl_read_data(tran, str(path)) == 0, path
        assert glpk.glp_mpl_generate(tran, None) == 0, path
        glpk.glp_mpl_build_prob(tran, problem)
        glpk.glp_mpl_free_wksp(tran)
    terms = glpk.glp_iocp()
    glpk.glp_init_iocp(terms)
    terms.presolve = glpk.GLP_ON
    code = glpk.glp_intopt(problem, terms)
    optimal = code == 0 and glpk.glp_mip_status(problem) == glpk.GLP_OPT
    assert optimal or code == glpk.GLP_ENOPFS or glpk.glp_mip_status(problem) == glpk.GLP_NOFEAS, (path, code)
    found[path.name] = glpk.glp_mip_obj_val(problem) if optimal else None
    glpk.glp_delete_prob(problem)
print(json.dumps(found))
"""

#: The same with OR-Tools and its SCIP, which read MPS.
OR_TOOLS = """
import json, sys
from pathlib import Path
from ortools.linear_solver.python import model_builder
found = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    model = model_builder.Model()
    assert model.import_from_mps_file(str(path)), path
    solver = model_builder.Solver("scip")
    status = solver.solve(model)
    found[path.name] = solver.objective_value if status == model_builder.SolveStatus.OPTIMAL else None
print(json.dumps(found), file=sys.stderr)
"""


def read_back(script: str, folder: Path) -> dict[str, float | None]:
    command = [sys.executable, "-c", script, str(folder), str(MODEL)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((done.stdout.splitlines() or done.stderr.splitlines())[-1])


def written(folder: Path, problems: dict[str, ho.ProvisioningProblem]) -> dict[str, float | None]:
    """Write every problem in the three formats; return the power that each file stands for."""
    expected = {}
    for name, problem in problems.items():
        power_w = ho.provision(problem, gap=0.0).objective
        for form, ending in (("lp", "lp"), ("mps", "mps"), ("gmpl-dat", "dat")):
            (folder / f"{name}.{ending}").write_text(ho.export_program(problem, form=form))
            expected[f"{name}.{ending}"] = power_w
    return expected


def check_glpk(folder: Path, problems: dict[str, ho.ProvisioningProblem]) -> int:
    expected, found = written(folder, problems), read_back(GLPK, folder)
    assert found.keys() == expected.keys()
    for name, power_w in expected.items():
        assert found[name] == (None if power_w is None else pytest.approx(power_w, rel=1e-9)), name
    return sum(power_w is None for power_w in expected.values())


def some_problems(seeds: range) -> dict[str, ho.ProvisioningProblem]:
    problems = {f"p{seed}": medium_problem(seed) if seed % 2 else tiny_problem(seed) for seed in seeds}
    return {name: problem for name, problem in problems.items() if problem.can_serve.any()}


def test_glpk_reads_all_three_formats_and_finds_the_same_power(tmp_path):
    """The GMPL model with its data, LP and MPS; loads that nothing covers among them."""
    assert check_glpk(tmp_path, some_problems(range(24))) >= 3


def test_objectives_and_requirements_are_written(tmp_path):
    """Each kind alone and together, minimum servers and a cap among them: GLPK finds what provision finds."""
    expected = {}
    for seed, (name, problem) in enumerate(some_problems(range(60, 84)).items()):
        random = np.random.default_rng(seed)
        problem = problem.replace(cost_per_h=random.integers(1, 9, len(problem.server_types)))
        types, models = problem.server_types, problem.models
        h, m = (int(place) for place in np.argwhere(problem.can_serve)[0])
        usable = int(problem.available @ problem.can_serve[:, m])
        asked = ho.Requirements(
            forbid=[(types[-1], models[-1])] if (types[-1], models[-1]) != (types[h], models[m]) else (),
            fixed={(types[h], models[m]): min(1, int(problem.available[h]))} if seed % 3 == 0 else None,
            at_least={models[m]: min(3, usable - 2)} if seed % 2 and usable > 2 else None,
            power_cap_w=2000.0 if seed % 4 < 2 else None,
        )
        level = ("power", "servers", "cost")[seed % 3]
        value = ho.provision(problem, objective=level, requirements=asked, gap=0.0).objective
        for form in ("lp", "mps"):
            text = ho.export_program(problem, form=form, objective=level, requirements=asked)
            (tmp_path / f"{name}.{form}").write_text(text)
            expected[f"{name}.{form}"] = value
    found = read_back(GLPK, tmp_path)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == (None if value is None else pytest.approx(value, rel=1e-9)), name
    assert sum(value is not None for value in expected.values()) > len(expected) / 3


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"objective": ["power", "servers"]}, "objective: a file has one objective, found 'power, servers'"),
        (
            {"objective": "servers", "form": "gmpl-dat"},
            "objective: must be power in the format gmpl-dat, found",
        ),
        (
            {"requirements": ho.Requirements(power_cap_w=1), "form": "gmpl-dat"},
            "requirements, power_cap_w: cannot be said in the format gmpl-dat",
        ),
        (
            {"requirements": ho.Requirements(at_least={"model1": 1}), "form": "gmpl-dat"},
            "requirements, at_least: cannot be said in the format gmpl-dat",
        ),
        ({"requirements": 3}, "requirements: must be Requirements, found 'int'"),
    ],
)
def test_what_a_format_cannot_say_is_refused(choice, text):
    with pytest.raises(ho.InputError) as caught:
        ho.export_program(medium_problem(1), **choice)
    assert str(caught.value).startswith(text)


@pytest.mark.slow
def test_glpk_agrees_on_many(tmp_path):
    """More than 300 problems, three files each."""
    problems = some_problems(range(1000, 1320))
    assert len(problems) >= 300
    assert check_glpk(tmp_path, problems) > 30


def test_or_tools_reads_mps(tmp_path):
    expected = written(tmp_path, some_problems(range(24)))
    for path in [*tmp_path.glob("*.dat"), *tmp_path.glob("*.lp")]:
        path.unlink()
        del expected[path.name]
    found = read_back(OR_TOOLS, tmp_path)
    for name, power_w in expected.items():
        assert found[name] == (None if power_w is None else pytest.approx(power_w, rel=1e-9)), name


@pytest.mark.parametrize("ending", ["lp", "mps"])
def test_cbc_reads_lp_and_mps(ending, tmp_path):
    pulp = pytest.importorskip("pulp")
    cbc = getattr(getattr(pulp, "PULP_CBC_CMD", None), "pulp_cbc_path", None) or shutil.which("cbc")
    expected = written(tmp_path, {"p1": medium_problem(1)})
    command = [cbc, str(tmp_path / f"p1.{ending}"), "solve"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"^Objective value:\s+(\S+)", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    assert float(found[1]) == expected[f"p1.{ending}"]


def test_the_tiny_instance_as_lp():
    """Readable, W and QPS, one term per line."""
    text = ho.export_program(ho.load_instance("tiny"), interval=1)
    assert text.startswith(
        f"\\ hercules-opt {ho.__version__}, provisioning of interval 1: W and QPS, exact\n"
    )
    assert "  + 400 n.gpu.ranking\n" in text
    assert " cover.retrieval:\n" in text
    assert " available.gpu:\n  + 1 n.gpu.ranking\n  + 1 n.gpu.retrieval\n  <= 2\n" in text
    assert "General\n n.cpu.ranking\n" in text


def awkward() -> ho.ProvisioningProblem:
    """Names that no format can hold, that become equal, that are numbers; figures of many digits."""
    return ho.ProvisioningProblem(
        [[0.1, 1e-9], [1e12, 123.456789], [3.0, float("nan")]],
        [[1e-9, 0.3], [1e9, 99.5], [1.5, float("nan")]],
        [3, 0, 1_000_000],
        [0.30000000000000004, 1e-9],
        over_provision=0.05,
        server_types=["a b", "a-b", "12"],
        models=["end", "e1 >= 3\n\\ 'x'"],
    )


def test_names_are_safe_unique_and_explained(tmp_path):
    for form, comment in (("lp", "\\"), ("mps", "*"), ("gmpl-dat", "#")):
        text = ho.export_program(awkward(), form=form)
        assert f"{comment} a_b stands for 'a b'\n{comment} a_b_2 stands for 'a-b'\n" in text
        assert f"{comment} e1____3____x_ stands for" in text
        assert "12 stands for" not in text
        assert text.isascii()
    assert check_glpk(tmp_path, {"awkward": awkward()}) == 0


def test_figures_are_exact_decimals():
    """Every figure of a file is the exact one; the load is rounded up to what whole servers reach."""
    text = ho.export_program(awkward())
    assert "  + 0.000000001 n.a_b.end\n" in text  # 1e-9 W
    assert "  + 1000000000000 n.a_b_2.end\n" in text
    assert "  >= 0.4\n" in text  # 1.05 * 0.30000000000000004 QPS in steps of 0.1
    assert "e-" not in "".join(re.findall(r"^  [+<>].*$", text, re.MULTILINE))
    assert " 0 <= n.12.end <= 1000000\n" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-7, "-7"),
        (Fraction(1, 8), "0.125"),
        (Fraction(-123, 100), "-1.23"),
        (Fraction(1, 10**12), "0.000000000001"),
        (Fraction(10**20 + 1, 10), "10000000000000000000.1"),
    ],
)
def test_numbers_as_decimals(value, text):
    assert decimal_text(value) == text
    assert Fraction(text) == value


def test_a_third_is_no_decimal():
    with pytest.raises(ValueError, match="1/3 has no finite decimal expansion"):
        decimal_text(Fraction(1, 3))


def test_a_load_that_nothing_serves_stays_infeasible(tmp_path):
    problem = ho.ProvisioningProblem([[10.0, float("nan")]], [[50.0, float("nan")]], [3], [5.0, 1.0])
    assert check_glpk(tmp_path, {"p": problem}) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": "mp"}, "form: unknown format, found 'mp'. Did you mean 'mps'?"),
        ({"form": None}, "form: unknown format"),
        ({"interval": 4}, "interval: must be a whole number from 0 to 3, found 4"),
        ({"interval": -1}, "interval: must be a whole number from 0 to 3, found -1"),
        ({"interval": True}, "interval: must be a whole number from 0 to 3, found true"),
        ({"interval": 1.0}, "interval: must be a whole number from 0 to 3, found 1.0"),
    ],
)
def test_bad_calls_are_refused(changes, message):
    with pytest.raises(ho.InputError, match=re.escape(message)):
        ho.export_program(ho.load_instance("tiny"), **changes)


def test_nothing_to_export_is_refused():
    nothing = ho.ProvisioningProblem([[float("nan")]], [[float("nan")]], [1], [0.0])
    with pytest.raises(ho.InputError, match="no server type can serve any model: there is no program"):
        ho.export_program(nothing)
