"""Records from text files: what a person may hand over, and what is said when it cannot be read."""

import sys

import numpy as np
import pytest
from realdata import data_file

from identification import Experiments

ROWS = [(0.0, 1.5, -2.0), (1.0, 2.5, -3.0), (2.0, 3.5, 4e-1)]


def written(tmp_path, text, name="a record.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_text(text, encoding=encoding)
    return path


def joined(separator, header="", end=""):
    lines = [separator.join(str(value) for value in row) + end for row in ROWS]
    return "\n".join([header] * bool(header) + lines) + "\n"


@pytest.mark.parametrize("separator", [",", ", ", "\t", " ", "   ", ";", " \t "])
@pytest.mark.parametrize("end", ["", " ", "\r"])
def test_separators_without_header(tmp_path, separator, end):
    record = Experiments.from_file(written(tmp_path, joined(separator, end=end)), 1, "2", dt=0.5)
    assert np.array_equal(record.y[0][:, 0], [1.5, 2.5, 3.5])
    assert np.array_equal(record.u[0][:, 0], [-2.0, -3.0, 0.4])
    assert (record.output_names, record.input_names) == (("column 1",), ("column 2",))
    assert record.dt == 0.5


@pytest.mark.parametrize(
    ("separator", "header"),
    [(",", "t,heat in,°C"), ("\t", "t\theat in\t°C"), (";", 't;"heat in";°C')],
)
def test_header_names_columns(tmp_path, separator, header):
    path = written(tmp_path, joined(separator, header), encoding="utf-8-sig")
    record = Experiments.from_file(path, ["°C"], ["heat in"])
    assert np.array_equal(record.y[0][:, 0], [-2.0, -3.0, 0.4])
    assert (record.output_names, record.input_names) == (("°C",), ("heat in",))
    by_number = Experiments.from_file(path, 2, 1)
    assert np.array_equal(by_number.y[0], record.y[0])
    assert by_number.output_names == record.output_names


def test_order_of_columns_is_that_of_the_question(tmp_path):
    record = Experiments.from_file(written(tmp_path, joined(",", "a,b,c")), ["c", "a"])
    assert np.array_equal(record.y[0], np.array(ROWS)[:, [2, 0]])
    assert record.n_inputs == 0


def test_a_first_line_with_a_number_is_data(tmp_path):
    path = written(tmp_path, "x,0\n1,2\n", name="t.csv")
    assert Experiments.from_file(path, 1).n_samples == 2
    with pytest.raises(ValueError, match=r"column 0 .* of t\.csv .* found 'x' in row 1"):
        Experiments.from_file(path, 0)


def test_comments_blank_lines_and_decimal_commas(tmp_path):
    text = "# made by a logger\n\nt;y\n% units: s;V\n0;1,5\n1;2,5\n"
    assert np.array_equal(Experiments.from_file(written(tmp_path, text), "y").y[0].T, [[1.5, 2.5]])
    headless = written(tmp_path, "0,5;1,5\n1,5;2,5\n")
    assert np.array_equal(Experiments.from_file(headless, 1).y[0].T, [[1.5, 2.5]])


def test_a_comma_in_a_name_does_not_separate_where_tabs_do(tmp_path):
    path = written(tmp_path, "t\tlevel, m\n0\t1.5\n1\t2.5\n")
    assert np.array_equal(Experiments.from_file(path, "level, m").y[0].T, [[1.5, 2.5]])


def test_separator_at_the_end_of_every_line_makes_no_column(tmp_path):
    path = written(tmp_path, "a\tb\t\n1\t2\t\n3\t4\t\n")
    with pytest.raises(ValueError, match="no column '2'; its columns are 0 'a', 1 'b'"):
        Experiments.from_file(path, "2")


def test_text_beside_the_columns_asked_for(tmp_path):
    path = written(tmp_path, "when,y,note\n2024-01-01,1,ok\n2024-01-02,2,\n")
    assert np.array_equal(Experiments.from_file(path, "y").y[0].T, [[1.0, 2.0]])
    headless = written(tmp_path, "2024-01-01,1\n2024-01-02,2\n")
    assert np.array_equal(Experiments.from_file(headless, 1).y[0].T, [[1.0, 2.0]])


@pytest.mark.parametrize("missing", ["", "NA", "nan", "null", "N/A"])
def test_missing_values(tmp_path, missing):
    path = written(tmp_path, f"y,u\n1,2\n{missing},3\n4,5\n")
    with pytest.raises(
        ValueError, match=r"a missing value \(NaN\) in 1 of \d+ samples, .* index 1"
    ):
        Experiments.from_file(path, "y", "u")
    with pytest.raises(ValueError, match=r"`u` has a missing value \(NaN\) in 1 of \d+ samples"):
        Experiments.from_file(path, "u", "y", allow_nan=True)
    kept = Experiments.from_file(path, "y", "u", allow_nan=True)
    assert np.isnan(kept.y[0][1, 0])


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("a,b\n1,2\n", "c", "has no column 'c'; its columns are 0 'a', 1 'b'"),
        ("a,b\n1,2\n", 2, "has no column 2"),
        ("a,b\n1,2\n", -1, "has no column -1"),
        ("1 2\n3 4\n", "a", "no column 'a'; its columns are 0, 1"),
        ("a,a\n1,2\n", "a", "has 2 columns named 'a': ask by number"),
        ("a,b\n1,2\n", [], "`y` must name at least one column; those of .* are 0 'a', 1 'b'"),
        ("a,b\n1,2\n", ["a", "a"], "a column can serve once"),
        ("a,b\n1,2\n3\n", "a", "as many fields as the first, 2; row 2 .* has 1: '3'"),
        ("a,b\n1,2\nx,3\n", "a", r"column 0 \('a'\) of .* found 'x' in row 2 of the data"),
        (
            "a\tb\n1,5\t2\n",
            "a",
            "found '1,5' in row 1 of the data. A decimal comma is read where sem",
        ),
        ("a,b\ns,V\n1,2\n", "b", "found 'V' in row 1 .* a line of units, begin it with #"),
        ("a,b\n", "a", "no data below its header"),
        ("# nothing\n\n", 0, "holds no data"),
        ("1,2\n", 0, None),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, text, columns, message):
    path = written(tmp_path, text)
    if message is None:
        assert Experiments.from_file(path, columns).n_samples == 1
    else:
        with pytest.raises(ValueError, match=message):
            Experiments.from_file(path, columns)


def test_a_column_is_output_or_input(tmp_path):
    with pytest.raises(ValueError, match="a column can serve once, as output or as input"):
        Experiments.from_file(written(tmp_path, joined(",", "a,b,c")), "a", 0)


def test_files_that_are_no_text(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        Experiments.from_file(tmp_path / "nowhere.csv", 0)
    path = tmp_path / "binary.dat"
    path.write_bytes(b"\x00\xff\xfe\x01")
    with pytest.raises(ValueError, match=r"binary\.dat must be a text file in UTF-8; .* at byte 1"):
        Experiments.from_file(path, 0)


def test_measured_records():
    dryer = Experiments.from_file(data_file("daisy", "dryer.dat"), 1, 0, dt=0.08)
    assert dryer.y[0].shape == (1000, 1)
    assert dryer.y[0][0, 0] == 4.7660989
    tanks = Experiments.from_file(
        data_file("nonlinear", "cascaded_tanks.csv"), "yEst", "uEst", dt=4.0
    )
    assert tanks.y[0].shape == (1024, 1)


# arrays -------------------------------------------------------------------------------------


def test_npz(tmp_path):
    y, u = np.arange(12.0).reshape(6, 2), np.arange(6)
    np.savez(tmp_path / "run.npz", time=np.linspace(0, 1, 6), height=y, drive=u, note="by hand")
    record = Experiments.from_file(tmp_path / "run.npz", "height", ["drive"], dt=0.2)
    assert np.array_equal(record.y[0], y)
    assert np.array_equal(record.u[0], u[:, None])
    assert (record.output_names, record.input_names) == (("height1", "height2"), ("drive",))
    assert Experiments.from_file(tmp_path / "run.npz", "2").output_names == ("drive",)  # by number


@pytest.mark.parametrize(
    ("y", "u", "message"),
    [
        ("depth", [], r"no column 'depth'; its columns are 0 'height', 1 'short'"),
        ("note", [], r"'note' of run\.npz must hold numbers .* got <U7 of shape \(\)"),
        ("cube", [], r"in the shape \(T,\) or \(T, k\); got float64 of shape \(2, 2, 2\)"),
        (["height", "short"], [], "equally long; 'short' has 3 samples, 'height' has 6"),
        ("height", ["height"], "a column can serve once"),
    ],
)
def test_wrong_npz(tmp_path, y, u, message):
    arrays = {"height": np.arange(6.0), "short": np.arange(3.0), "note": "by hand"}
    np.savez(tmp_path / "run.npz", **arrays, cube=np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match=message):
        Experiments.from_file(tmp_path / "run.npz", y, u)


def test_npz_that_is_none(tmp_path):
    (tmp_path / "run.npz").write_text("height\n1\n")
    with pytest.raises(ValueError, match=r"run\.npz must be an archive of numbers that numpy"):
        Experiments.from_file(tmp_path / "run.npz", "height")
    np.savez(tmp_path / "run.npz")
    with pytest.raises(ValueError, match=r"run\.npz holds no data: it is an archive without"):
        Experiments.from_file(tmp_path / "run.npz", "height")


def test_no_file_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"there is no 'run\.csv' in '.*'\. Check the spell"
    ):
        Experiments.from_file("run.csv", 0)
    with pytest.raises(FileNotFoundError, match=r"there is no '/.*run\.csv'\. Check the spelling"):
        Experiments.from_file(tmp_path / "run.csv", 0)
    with pytest.raises(IsADirectoryError, match=r"'.*' is a folder. Name a file in it"):
        Experiments.from_file(tmp_path, 0)
    with pytest.raises(TypeError, match="`path` must be a str or a path; got int"):
        Experiments.from_file(3, 0)  # pyright: ignore[reportArgumentType]


def test_binary_file_is_no_table(tmp_path):
    (tmp_path / "run.csv").write_bytes(bytes(300))
    with pytest.raises(ValueError, match=r"run\.csv must be a text file; it is binary"):
        Experiments.from_file(tmp_path / "run.csv", 0)


@pytest.mark.parametrize(
    ("suffix", "reader"), [("parquet", "read_parquet"), ("feather", "read_feather")]
)
def test_data_frames(tmp_path, monkeypatch, suffix, reader):
    pandas = pytest.importorskip("pandas")
    (tmp_path / f"run.{suffix}").touch()
    frame = pandas.DataFrame({"height": [1.0, 2.0, 4.0], "drive": [0, 1, 0], "note": list("abc")})
    monkeypatch.setattr(pandas, reader, lambda path: frame)
    record = Experiments.from_file(tmp_path / f"run.{suffix}", "height", "drive")
    assert np.array_equal(record.y[0][:, 0], [1.0, 2.0, 4.0])
    with pytest.raises(ValueError, match="'note' of run"):
        Experiments.from_file(tmp_path / f"run.{suffix}", "note")

    def fail(path):
        raise OSError("magic bytes\nnot found")

    monkeypatch.setattr(pandas, reader, fail)
    with pytest.raises(
        ValueError, match=rf"run\.{suffix} must be a {suffix} table; it is something"
    ):
        Experiments.from_file(tmp_path / f"run.{suffix}", "height")


def test_data_frames_need_pandas(tmp_path, monkeypatch):
    (tmp_path / "run.parquet").touch()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="needs pandas and pyarrow; or save it as CSV"):
        Experiments.from_file(tmp_path / "run.parquet", "height")
