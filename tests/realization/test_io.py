"""Archives: every record comes back, checked, and nothing else does."""

import json
import zipfile
from dataclasses import dataclass, fields

import numpy as np
import pytest
from systems import random_innovation, random_linear

from realization import (
    BilinearSSM,
    GaussianSSM,
    LinearSSM,
    load,
    save,
    to_covariance,
    to_gaussian,
)
from realization.internal import register_record
from realization.io import _CLASSES


def records():
    rng = np.random.default_rng(0)
    innovation = random_innovation(rng, 3, 2, 2)
    return [
        random_linear(rng, 3, 2, 1),
        LinearSSM([[0.5j]], [[1.0]], [[1.0]], dt=0.0),
        LinearSSM(np.zeros((0, 0)), np.zeros((0, 0)), np.zeros((1, 0)), dt=1e-300),
        innovation,
        to_gaussian(innovation),
        GaussianSSM([[0.5]], [[1.0]], [[1.0]], [[1.0]]),
        to_covariance(innovation),
        BilinearSSM([[0.5]], [[[0.1]]], [[1.0]], [[1.0]], dt=0.1),
        BilinearSSM([[0.5]], [[[0.1]]], [[1.0]], [[1.0]], K=[[0.1]], Re=[[2.0]]),
    ]


def assert_same(a, b):
    assert type(a) is type(b)
    for f in fields(b):
        x, y = getattr(a, f.name), getattr(b, f.name)
        if isinstance(y, np.ndarray):
            assert x.dtype == y.dtype
            assert x.shape == y.shape
            assert not x.flags.writeable
            assert np.array_equal(x, y)
        else:
            assert x == y


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a model.npz"


@pytest.fixture
def registered():
    """Forget the classes that a test registers."""
    before = dict(_CLASSES)
    yield
    _CLASSES.clear()
    _CLASSES.update(before)


@pytest.mark.parametrize("record", records(), ids=repr)
def test_round_trip(record, path):
    save(record, path)
    assert_same(load(path), record)


def test_the_file_is_named_as_asked(tmp_path):
    save(records()[0], str(tmp_path / "plain"))
    assert [p.name for p in tmp_path.iterdir()] == ["plain"]
    save(records()[1], tmp_path / "plain")  # replaced
    assert load(tmp_path / "plain").dt == 0.0


def test_numpy_alone_reads_the_arrays(path):
    model = records()[0]
    save(model, path)
    with np.load(path) as archive:
        assert np.array_equal(archive["A"], model.A)
        assert json.loads(archive["record.json"])["record"]["class"] == "LinearSSM"


@dataclass(frozen=True)
class Evidence:
    model: object
    table: dict
    runs: tuple
    notes: list
    file: np.ndarray
    flag: bool = True


def test_registered_records_with_everything_in_them(path, registered):
    assert register_record(Evidence) is Evidence
    register_record(Evidence)  # twice is no harm
    model = records()[3]
    evidence = Evidence(
        model=model,
        table={"past": 10, "weights": np.arange(3), "nested": {"x": None}, "nan": np.nan},
        runs=(np.zeros((2, 0)), np.ones(2, dtype=bool)),
        notes=["as text", np.float64(1.5), np.int32(3), np.bool_(False), np.str_("s")],
        file=np.array(["a", "bc"]),
    )
    save(evidence, path)
    back = load(path)
    assert_same(back.model, model)
    assert back.table["past"] == 10
    assert back.table["nested"] == {"x": None}
    assert np.isnan(back.table["nan"])
    assert np.array_equal(back.table["weights"], [0, 1, 2])
    assert isinstance(back.runs, tuple)
    assert back.runs[0].shape == (2, 0)
    assert back.runs[1].dtype == bool
    assert back.notes == ["as text", 1.5, 3, False, "s"]
    assert list(back.file) == ["a", "bc"]
    assert back.flag is True


def test_a_class_that_is_not_known_when_loading(path, registered):
    register_record(Evidence)
    save(Evidence(records()[0], {}, (), [], np.zeros(1)), path)
    del _CLASSES["Evidence"]
    with pytest.raises(
        ValueError, match=r"holds a 'Evidence', which is not known .* Import the .* identification"
    ):
        load(path)


def test_registering(registered):
    with pytest.raises(TypeError, match="`cls` must be a dataclass; got <class 'dict'>"):
        register_record(dict)

    @dataclass
    class LinearSSM:
        x: float

    with pytest.raises(ValueError, match=r"'LinearSSM' is realization\.models\.LinearSSM already"):
        register_record(LinearSSM)


@pytest.mark.parametrize("value", [np.eye(2), {"A": 1}, None, Evidence])
def test_only_records_are_saved(value, path):
    with pytest.raises(TypeError, match=r"`model` must be one of .*BilinearSSM, "):
        save(value, path)
    assert not path.exists()


@pytest.mark.parametrize(
    "value", [object(), np.array([object()]), {1: 2}, 1j, np.datetime64("2020"), {"k": [set()]}]
)
def test_fields_that_have_no_place(value, path, registered):
    register_record(Evidence)
    with pytest.raises(TypeError, match="`model` cannot be saved: its field table"):
        save(Evidence(None, value, (), [], np.zeros(1)), path)
    assert not path.exists()


class TestDamage:
    def write(self, path, document, **arrays):
        with zipfile.ZipFile(path, "w") as archive:
            if document is not None:
                archive.writestr("record.json", document)
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, array)

    def test_missing_file(self, path):
        with pytest.raises(
            FileNotFoundError, match=r"`path` must name a file that exists; there is"
        ):
            load(path)
        with pytest.raises(IsADirectoryError, match=r"`path` must name a file; '.*' is a folder"):
            load(path.parent)

    def test_no_place_to_write(self, path, monkeypatch):
        model = LinearSSM([[0.5]], [[1.0]], [[1.0]])
        with pytest.raises(
            FileNotFoundError, match=r"there is no folder '.*none' to write '.*m\.npz"
        ):
            save(model, path.parent / "none" / "m.npz")
        with pytest.raises(IsADirectoryError, match=r"the file to write, '.*', is a folder"):
            save(model, path.parent)
        monkeypatch.setattr("os.access", lambda path, mode: False)
        with pytest.raises(
            PermissionError, match=r"cannot be written: permission is denied\. Name"
        ):
            save(model, path)

    @pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 truncated"])
    def test_other_files(self, path, content):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"must name an archive that realization\.save wrote"):
            load(path)

    @pytest.mark.parametrize("document", [None, "{", "[]", "{}", '{"format": 1}'])
    def test_other_archives(self, path, document):
        self.write(path, document)
        with pytest.raises(ValueError, match=r"must name an archive that realization\.save wrote"):
            load(path)

    def test_a_plain_npy(self, path):
        with path.open("wb") as file:
            np.save(file, np.eye(2))
        with pytest.raises(ValueError, match=r"must name an archive that realization\.save wrote"):
            load(path)

    def test_missing_array(self, path):
        model = {"class": "LinearSSM", "fields": {"A": {"array": "A"}}}
        self.write(path, json.dumps({"format": 1, "record": model}))
        with pytest.raises(ValueError, match=r"must name an archive that realization\.save wrote"):
            load(path)

    def test_later_format(self, path):
        self.write(path, json.dumps({"format": 2, "record": {}}))
        with pytest.raises(ValueError, match="has format 2, of another release"):
            load(path)

    def test_pickles_are_refused(self, path):
        save(records()[0], path)
        with zipfile.ZipFile(path, "a") as archive, archive.open("extra.npy", "w") as file:
            np.lib.format.write_array(file, np.array([{}]), allow_pickle=True)
        with pytest.raises(ValueError, match=r"must name an archive that realization\.save wrote"):
            load(path)

    def test_the_constructor_checks(self, path):
        entries = {name: {"array": name} for name in ("A", "B", "C", "D")} | {"dt": 1.0}
        document = {"format": 1, "record": {"class": "LinearSSM", "fields": entries}}
        arrays = {"A": np.eye(2), "B": np.ones((2, 1)), "C": np.ones((1, 3)), "D": np.ones((1, 1))}
        self.write(path, json.dumps(document), **arrays)
        with pytest.raises(ValueError, match=r"`C` must have shape \(any, 2\)"):
            load(path)


@pytest.mark.parametrize("path", [0, None, 2.5])
def test_files_have_names(path):
    with pytest.raises(TypeError, match="`path` must be a str or a path; got"):
        load(path)
    with pytest.raises(TypeError, match="`path` must be a str or a path; got"):
        save(LinearSSM([[0.5]], [[1.0]], [[1.0]]), path)
