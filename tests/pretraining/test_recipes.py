"""The recipes: their numbers are the published ones, and what a user changes in them is checked."""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinbert.cli.recipes import recipes
from spacy_clinbert.encoders import ENCODERS, find_encoder
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.pretraining.recipes import FOLDER, read_recipe, recipe_names, recipe_text

COLUMNS = "start categories length batch_size learning_rate steps warmup_steps dupe max_predictions".split()
DISCHARGE = ("Discharge summary",)
# Alsentzer et al. 2019 and Vasantharajan et al. 2022, as their model cards and scripts give them.
NEXT_SENTENCE = {
    "clinicalbert": ("biobert-v1.0", (), 128, 32, 5e-5, 150_000, 10_000, 5, 20),
    "clinicalbert-discharge": ("biobert-v1.0", DISCHARGE, 128, 32, 5e-5, 100_000, 10_000, 5, 20),
    "clinicalbert-base": ("bert-base-cased", (), 128, 32, 5e-5, 150_000, 10_000, 5, 20),
    "clinicalbert-base-discharge": ("bert-base-cased", DISCHARGE, 128, 32, 5e-5, 100_000, 10_000, 5, 20),
    "medbert": ("bio-clinicalbert", (), 256, 32, 1e-4, 200_000, 10_000, 5, 22),
}
BLOCKS = ("biobertpt-clin", "biobertpt-bio", "biobertpt-all")
TINY = ("clinicalbert-tiny", "medbert-tiny", "biobertpt-tiny")


def test_these_recipes_come_with_the_package():
    assert recipe_names() == sorted([*NEXT_SENTENCE, *BLOCKS, *TINY])


@pytest.mark.parametrize("name", NEXT_SENTENCE)
def test_clinicalbert_and_medbert(name):
    recipe = read_recipe(name, {})
    export, training = recipe.export, recipe.training
    found = {"start": recipe.model.init, **export.model_dump(), **training.model_dump()}
    assert tuple(found[column] for column in COLUMNS) == NEXT_SENTENCE[name]
    assert (recipe.model.objective, export.form, export.document) == ("mlm+nsp", "instances", "note")
    assert (export.placeholders, export.copies, export.errors) == ("keep", "keep", "keep")
    assert (export.mask_probability, export.short_probability, export.whole_word) == (0.15, 0.1, False)
    assert (training.masking, training.epochs, training.accumulate) == ("static", None, 1)
    assert (training.schedule, training.weight_decay, training.epsilon, training.clip) == ("linear", 0.01, 1e-6, 1.0)


@pytest.mark.parametrize("name", BLOCKS)
def test_biobertpt(name):
    recipe = read_recipe(name, {})
    training = recipe.training
    assert recipe.model.init == "bert-base-multilingual-cased" and recipe.model.objective == "mlm"
    assert (recipe.export.form, recipe.export.length, recipe.export.sections) == ("blocks", 512, "none")
    assert (training.steps, training.epochs, training.warmup_steps, training.seed) == (None, 15, 0, 666)
    assert (training.batch_size, training.learning_rate, training.masking) == (16, 1e-5, "dynamic")
    assert (training.weight_decay, training.epsilon, training.mask_probability) == (0.0, 1e-8, 0.15)


def test_the_two_published_limits_of_clinicalbert_make_the_same_instances():
    export = read_recipe("clinicalbert", {}).export
    assert "says 22" in recipe_text("clinicalbert")
    assert round(export.mask_probability * export.length) < export.max_predictions == 20


@pytest.mark.parametrize("name", [*NEXT_SENTENCE, *BLOCKS])
def test_the_start_is_of_the_catalogue_and_gives_the_tokenizer(name):
    recipe = read_recipe(name, {})
    assert recipe.model.init in ENCODERS and recipe.export.tokenizer == recipe.model.init
    ours = find_encoder({"clinicalbert": "bio-clinicalbert"}.get(name, name))
    if ours:
        assert ours.parent == recipe.model.init and ours.trained_length == recipe.export.length


@pytest.mark.parametrize("name", TINY)
def test_tiny_twins_are_new_weights_in_the_manner_of_the_real_ones(name):
    tiny, real = read_recipe(name, {}), read_recipe({"biobertpt-tiny": "biobertpt-clin"}.get(name, name[:-5]), {})
    assert tiny.model.init is None and tiny.model.hidden_size <= 128 and tiny.training.steps <= 2000
    assert tiny.export.tokenizer == "" and tiny.model.objective == real.model.objective
    small = {"tokenizer", "length"} if tiny.export.form == "blocks" else {"tokenizer"}
    assert tiny.export.model_dump(exclude=small) == real.export.model_dump(exclude=small)
    assert (tiny.training.masking, tiny.training.seed) == (real.training.masking, real.training.seed)


@pytest.mark.parametrize("name", recipe_names())
def test_every_setting_stands_under_a_comment_with_its_source(name):
    """A number without one would be ours: only the tiny ones have such."""
    body = (FOLDER / f"{name}.cfg").read_text(encoding="utf-8").split("[recipe]")[1]
    for block in re.split(r"\n(?=#|\[)", body)[1:]:
        settings = re.findall(r"^(\w+) = ", block, re.MULTILINE)
        assert name in TINY or not settings or block.startswith("#"), settings


def test_overrides_replace_what_the_file_says(tmp_path):
    recipe = read_recipe(
        "clinicalbert-discharge",
        {"training.steps": 7, "paths.instances": tmp_path, "paths.output": "model", "export.categories": ["ECG"]},
    )
    assert recipe.training.steps == 7 and recipe.paths.instances == tmp_path and recipe.export.categories == ("ECG",)
    assert recipe.training.learning_rate == 5e-5 and recipe.export.length == 128
    passes = read_recipe("clinicalbert", {"training.steps": None, "training.epochs": 0.5})
    assert (passes.training.steps, passes.training.epochs) == (None, 0.5)
    assert read_recipe("clinicalbert", {"model.init": "my/bert"}).export.tokenizer == "my/bert"
    assert read_recipe("clinicalbert", {"export.tokenizer": "vocabulary"}).export.tokenizer == "vocabulary"


def test_a_config_of_ones_own_may_extend_a_recipe_and_refer_to_itself(tmp_path):
    file = tmp_path / "ours.cfg"
    file.write_text(
        '[recipe]\nextends = "clinicalbert-discharge"\n[paths]\ninstances = "exports"\noutput = "model"\n'
        "[training]\nlearning_rate = 1e-4\nseed = ${export.seed}\n"
    )
    recipe = read_recipe(file, {"export.seed": 3})
    assert (recipe.training.learning_rate, recipe.training.steps, recipe.training.seed) == (1e-4, 100_000, 3)
    assert recipe.export.categories == DISCHARGE and str(recipe.paths.output) == "model"
    assert recipe.data == "MIMIC-III, discharge summaries"


def test_a_section_is_missed_only_where_it_is_asked_for(tmp_path):
    file = tmp_path / "export.cfg"
    file.write_text('[export]\nform = "text"\n')
    recipe = read_recipe(file, {})
    assert recipe.export.form == "text" and recipe.data == ""
    with pytest.raises(ClinbertError, match=r"export\.cfg has no section \[training\]"):
        _ = recipe.training
    with pytest.raises(ClinbertError, match=r"give --paths\.instances and --paths\.output"):
        _ = read_recipe("clinicalbert", {}).paths
    assert read_recipe(file, {"training.steps": 5}).training.steps == 5


REFUSED = [
    ("clinicalbrt", {}, "clinicalbrt is no config file and no recipe: the recipes are biobertpt-all, .*medbert-tiny"),
    ("clinicalbert", {"training.stepz": 5}, r"setting training\.stepz: unknown; \[training\] has steps, epochs"),
    ("clinicalbert", {"training.adam.beta": 5}, r"setting training\.adam\.beta: unknown"),
    ("clinicalbert", {"steps": 5}, "--steps is no setting of a section: give one of paths"),
    ("clinicalbert", {"trainer.steps": 5}, r"--trainer\.steps is no setting"),
    ("clinicalbert", {"recipe.extends": "medbert"}, r"--recipe\.extends is no setting"),
    ("clinicalbert", {"training.epochs": 2}, "setting training: give one of steps and epochs, and null"),
    ("clinicalbert", {"export.length": 4}, r"setting export\.length: input should be greater than or equal to 8"),
    ("clinicalbert", {"model.init": None}, "setting model: without init, a new model needs hidden_size"),
    ("clinicalbert", {"paths.output": "model"}, r"setting paths\.instances: field required"),
    ("biobertpt-all", {"export.form": "block"}, r"setting export\.form: input should be 'instances', 'text'"),
]


@pytest.mark.parametrize("name, overrides, sentence", REFUSED)
def test_a_wrong_setting_is_one_sentence(name, overrides, sentence):
    with pytest.raises(ClinbertError, match=sentence) as caught:
        read_recipe(name, overrides)
    assert "\n" not in str(caught.value)


BROKEN = [
    (b"steps = 5\n", "cannot be read"),
    (b"[training]\nsteps = 5\nsteps = 6\n", "already exists"),
    (b"[training]\nsteps = ${model.steps}\n", "cannot be read: Bad value substitution"),
    (b"[training\n", "cannot be read"),
    (b"[export]\nform = \xff\n", "cannot be read"),
    (b"[trainer]\nsteps = 5\n", r"unknown section \[trainer\]: give recipe, paths"),
    (b'[recipe]\nextends = "clinicalbrt"\n', "extends clinicalbrt, which is none of biobertpt-all"),
    (b"[recipe]\nauthor = 1\n", r"setting recipe\.author: unknown; \[recipe\] has extends, data"),
]


@pytest.mark.parametrize("content, sentence", BROKEN)
def test_a_broken_file_is_one_sentence(content, sentence, tmp_path):
    file = tmp_path / "ours.cfg"
    file.write_bytes(content)
    with pytest.raises(ClinbertError, match=sentence) as caught:
        read_recipe(file, {})
    assert "ours.cfg" in str(caught.value) and "\n" not in str(caught.value)


@given(
    st.sampled_from(recipe_names()),
    st.integers(1, 10**6),
    st.floats(1e-9, 1, allow_nan=False),
    st.text("ab$[]#;=\"'\\ /é:", min_size=1, max_size=12),
)
def test_an_override_comes_through_as_it_was_given(name, batch_size, rate, folder):
    overrides = {"training.batch_size": batch_size, "training.learning_rate": rate, "export.tokenizer": folder}
    recipe = read_recipe(name, overrides)
    assert (recipe.training.batch_size, recipe.training.learning_rate) == (batch_size, rate)
    assert recipe.export.tokenizer == folder


def test_the_table_and_the_text_of_one(capsys):
    recipes()
    table = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: " ".join(line.split()) for line in table[2:]}
    assert list(rows) == recipe_names()
    assert rows["clinicalbert"].endswith("MIMIC-III, all notes 128 32 5e-5 150,000 5 20 not stated")
    assert rows["medbert"].endswith("Wikipedia 256 32 1e-4 200,000 5 22 MIT")
    assert rows["biobertpt-all"].endswith("512 16 1e-5 15 epochs dynamic 15%, MLM only Apache-2.0")
    recipes("clinicalbert-base-discharge")
    shown = capsys.readouterr().out
    heads = re.findall(r"^# ---- (\S+)$", shown, re.MULTILINE)
    assert heads == ["clinicalbert-base-discharge", "clinicalbert-discharge", "clinicalbert"]
    assert "steps = 100000" in shown and "finetune_lm_tf.sh" in shown
    recipes("clinicalbert")
    assert capsys.readouterr().out == (FOLDER / "clinicalbert.cfg").read_text(encoding="utf-8")
    with pytest.raises(ClinbertError, match="the recipes are"):
        recipes("clinicalbrt")


def test_reading_a_recipe_needs_no_torch():
    code = (
        "import sys; from spacy_clinbert.pretraining.recipes import read_recipe; read_recipe('clinicalbert', {});"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
