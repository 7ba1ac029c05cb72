"""Source specs: every text is taken apart or refused in a sentence."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.errors import SpecError
from energymeter.spec import Spec, _convert, driver_names, load_driver, options_of, parse

PIECES = [
    "ina219",
    "sim",
    "rapl",
    "@",
    ":",
    "?",
    "&",
    "=",
    "+",
    ",",
    '"',
    "%",
    "%41",
    "pi4",
    "0x40",
    " ",
    "\n",
    "µ",
    "-",
]
texts = st.text() | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
places = st.none() | st.text(string.ascii_letters + string.digits + ":/._-", min_size=1)
options = st.dictionaries(names, st.text(string.ascii_letters + string.digits + "._-/:"), max_size=3)


@given(texts)
def test_any_text_is_a_spec_or_a_sentence(text: str) -> None:
    try:
        groups = parse(text)
    except SpecError as error:
        said = str(error)
    else:
        said = "parsed"
        assert groups
        assert all(groups)
    assert said


@given(texts)
def test_any_text_builds_or_says_why_not(text: str) -> None:
    built = []
    try:
        built = [spec.build() for group in parse(text) for spec in group]
    except SpecError as error:
        assert str(error) != ""  # noqa: PT017 - either outcome is right
    assert all(source.name for source in built)


def written(spec: Spec) -> str:
    shown = "&".join(f"{name}={value}" for name, value in spec.options.items())
    return spec.driver + ("" if spec.address is None else f"@{spec.address}") + (f"?{shown}" if shown else "")


@given(
    st.lists(
        st.lists(st.builds(Spec, names, places, options), min_size=1, max_size=3), min_size=1, max_size=3
    )
)
def test_what_is_joined_comes_apart(groups: list[list[Spec]]) -> None:
    assert parse(",".join("+".join(map(written, group)) for group in groups)) == groups


def test_comma_joins_only_before_a_driver() -> None:
    assert parse("manual:5V,0.6A") == [[Spec("manual", "5V,0.6A", {})]]
    assert [len(group) for group in parse("manual:5V,0.6A,rapl+sim:pi4")] == [1, 2]


def test_quotes_hide_joints_and_questions() -> None:
    (((driver, place, shown),),) = parse('replay@"/a b,rapl+sim?x.csv"?speed=max')
    assert (driver, place, shown) == ("replay", "/a b,rapl+sim?x.csv", {"speed": "max"})


@pytest.mark.parametrize(
    ("text", "place", "options"),
    [
        ('replay@"a?b"', "a?b", {}),
        ('replay:"a+b"?speed=max', "a+b", {"speed": "max"}),
        ('replay@"a"b?speed=max', 'a"b', {"speed": "max"}),
        ('replay@""', "", {}),
        ("replay@?speed=max", None, {"speed": "max"}),
        ("replay", None, {}),
    ],
)
def test_an_address_ends_at_its_quote_or_at_the_options(
    text: str, place: str | None, options: dict[str, str]
) -> None:
    (((_, found, given),),) = parse(text)
    assert (found, given) == (place, options)


def test_an_option_of_each_kind_says_what_it_must_be() -> None:
    def wanted(annotation: object, text: str) -> str:
        with pytest.raises(SpecError) as refused:
            _convert("it", "x", text, annotation)
        return str(refused.value)

    assert wanted(int, "1.5") == "it's option x is '1.5', but it must be a whole number"
    assert wanted(bool, "perhaps") == "it's option x is 'perhaps', but it must be yes or no"
    assert wanted(float, "much") == "it's option x is 'much', but it must be a number"
    assert _convert("it", "x", "0x40", int) == 64
    assert (_convert("it", "x", "Yes", bool), _convert("it", "x", "off", bool)) == (True, False)


def test_percent_signs_in_options() -> None:
    assert parse("replay@x?watts=P%20%28mW%29&unit=%C2%B5W")[0][0].options == {
        "watts": "P (mW)",
        "unit": "µW",
    }


@pytest.mark.parametrize("text", ["", " ", "+", "rapl+", "rapl,", ",rapl", "@", "INA219", "9v", "rapl rapl"])
def test_malformed(text: str) -> None:
    with pytest.raises(SpecError, match="is no source; write driver@address"):
        parse(text)


def test_half_a_quotation() -> None:
    with pytest.raises(SpecError, match="quotation mark"):
        parse('replay@"x.csv')


def test_unknown_driver_with_a_hint() -> None:
    with pytest.raises(SpecError, match="did you mean ina219"):
        Spec("ina291", None, {}).build()
    with pytest.raises(SpecError, match="there are: "):
        Spec("zzzzzz", None, {}).build()


@pytest.mark.parametrize("name", ["_i2c", "os", "..reading", "", "a b", "ina219.x"])
def test_no_way_out_of_the_drivers_folder(name: str) -> None:
    with pytest.raises(SpecError):
        load_driver(name)


def test_unknown_option_with_those_there_are() -> None:
    with pytest.raises(SpecError, match=r"no option 'sped'; choose one of: .*speed"):
        parse("replay@x.csv?sped=max")[0][0].build()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("ina219?shunt=much", "must be a number"), ("ina219?shunt=0", "shunt"), ("ina219?shunt=-0.1", "shunt"),
     ("ina219?shunt=nan", "shunt"), ("replay@x?speed=slow", "true or max"), ("replay", "needs a file")],
)  # fmt: skip
def test_options_that_make_no_sense(text: str, wanted: str) -> None:
    with pytest.raises(SpecError, match=wanted):
        parse(text)[0][0].build()


def test_every_driver_can_be_loaded() -> None:
    assert all(load_driver(name) for name in driver_names() if name != "ina219")
    assert "replay" in driver_names()
    assert not any(name.startswith("_") for name in driver_names())


def test_the_options_of_a_family_are_those_of_its_members_too():
    assert list(options_of(load_driver("exec")))[:4] == ["watts", "volts", "amps", "joules"]
    assert {"stream", "shell", "timeout", "accuracy"} <= set(options_of(load_driver("exec")))
    assert {"backend", "shunt", "max_amps"} <= set(options_of(load_driver("ina219")))
    source = parse("ina219@1:0x41?shunt=0.05&backend=registers")[0][0].build()
    assert "0.05 ohm" in source.identity
    with pytest.raises(SpecError, match="no option 'wire'"):
        parse("ina219?wire=x")[0][0].build()


def test_what_a_test_fakes_is_no_option():
    assert set(options_of(load_driver("rapl"))) == {"parts", "backend", "root"}


def test_a_driver_may_be_a_function():
    def driver(place: str = "", *, rate: float = 1.0, port: object = None) -> None: ...

    assert list(options_of(driver)) == ["rate"]
