"""The rows of the information models as sentences: who is found by which key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import DataElement, Dataset
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from core.dicom.information_models import PATIENT_ROOT, STUDY_ROOT, WORKLIST, Matching
from core.dicom.matching import answer, as_criteria, match, problems, wildcard_matches


def dataset(**values: object) -> Dataset:
    out = Dataset()
    for keyword, value in values.items():
        out[keyword] = DataElement(keyword, dictionary_VR(keyword), value, validation_mode=IGNORE)
    return out


def scheduled(**values: object) -> Dataset:
    """Return a worklist query, or an item, with these values in its step."""
    return dataset(ScheduledProcedureStepSequence=[dataset(**values)])


ITEM = dataset(
    PatientName="Zhang^Wei",
    PatientID="P1",
    AccessionNumber="A100",
    PatientBirthDate="19610304",
    PatientWeight="71.5",
    StudyInstanceUID="1.2.3",
    RequestedProcedureDescription="Bone scan",
    ScheduledProcedureStepSequence=[
        dataset(
            ScheduledStationAETitle=["CAM1", "CAM2"],
            ScheduledProcedureStepStartDate="20260106",
            ScheduledProcedureStepStartTime="101500",
            Modality="NM",
            ScheduledPerformingPhysicianName="",
            ScheduledProcedureStepID="S1",
        )
    ],
)


@pytest.mark.parametrize(
    ("keyword", "asked", "found"),
    [
        ("PatientID", "P1", True),
        ("PatientID", "P1 ", True),
        ("PatientID", "", True),
        ("PatientID", "*", True),
        ("PatientID", "P*", False),
        ("PatientID", "P?", False),
        ("PatientID", "p1", False),
        ("PatientID", "other\\P1", True),
        ("PatientName", "Zhang^Wei", True),
        ("PatientName", "zhang^wei", False),
        ("PatientName", "Zh*", True),
        ("PatientName", "Zhang?Wei", True),
        ("PatientName", "Zhang", False),
        ("AccessionNumber", "A100", True),
        ("AccessionNumber", "A1*", True),
        ("AccessionNumber", "A10", False),
        ("PatientBirthDate", "19610304", True),
        ("PatientBirthDate", "19600101-19611231", True),
        ("PatientBirthDate", "19620101-", False),
        ("PatientBirthDate", "-19601231", False),
        ("StudyInstanceUID", "1.2.3", True),
        ("StudyInstanceUID", "1.2.4\\1.2.3", True),
        ("StudyInstanceUID", "1.2", False),
        ("IssuerOfPatientID", "HOSPITAL", False),
        ("RequestedProcedureDescription", "another procedure", True),
        ("PatientWeight", "80", True),
        ("PatientComments", "never matched", True),
    ],
)
def test_a_worklist_key_matches_only_by_the_type_its_row_gives(keyword: str, asked: str, *, found: bool) -> None:
    assert match(dataset(**{keyword: asked}), ITEM, WORKLIST) is found


@pytest.mark.parametrize(
    ("keyword", "asked", "found"),
    [
        ("ScheduledStationAETitle", "CAM1", True),
        ("ScheduledStationAETitle", "CAM2 ", True),
        ("ScheduledStationAETitle", "CAM*", False),
        ("Modality", "NM", True),
        ("Modality", "N?", False),
        ("ScheduledProcedureStepStartDate", "20260106", True),
        ("ScheduledProcedureStepStartDate", "20260105-20260107", True),
        ("ScheduledProcedureStepStartDate", "20260107-", False),
        ("ScheduledProcedureStepStartTime", "1015", True),
        ("ScheduledProcedureStepStartTime", "08-10", False),
        ("ScheduledProcedureStepStartTime", "08-1030", True),
        ("ScheduledPerformingPhysicianName", "*", True),
        ("ScheduledPerformingPhysicianName", "Wang*", False),
        ("ScheduledProcedureStepID", "S1", True),
        ("ScheduledProcedureStepID", "S2", False),
        ("ScheduledProcedureStepDescription", "not matched", True),
    ],
)
def test_a_key_of_the_step_matches_only_by_the_type_its_row_gives(keyword: str, asked: str, *, found: bool) -> None:
    assert match(scheduled(**{keyword: asked}), ITEM, WORKLIST) is found


@pytest.mark.parametrize(
    ("dates", "times", "found"),
    [
        ("20260105-20260107", "1800-0800", True),  # from the 5th, 18:00, until the 7th, 08:00
        ("20260105-20260106", "1800-0800", False),
        ("20260106", "10-11", True),
        ("20260106", "11-12", False),
        ("20260106-", "1100-", False),
        ("-20260107", "-0900", True),
        ("20260105-20260107", "101500", True),
    ],
)
def test_a_range_of_dates_and_a_range_of_times_are_one_stretch(dates: str, times: str, *, found: bool) -> None:
    keys = scheduled(ScheduledProcedureStepStartDate=dates, ScheduledProcedureStepStartTime=times)
    assert match(keys, ITEM, WORKLIST) is found


def test_an_empty_value_never_matches_a_key_that_asks_something() -> None:
    assert not match(dataset(PatientBirthDate="-20990101"), dataset(PatientBirthDate=""), WORKLIST)
    assert not match(dataset(PatientName="?*"), dataset(PatientName=None), WORKLIST)


def test_the_answer_holds_what_was_asked_and_nothing_else() -> None:
    keys = dataset(
        PatientName="Zh*", PatientSex="", ScheduledProcedureStepSequence=[dataset(Modality="", StationName="")]
    )
    given_back = answer(keys, ITEM, WORKLIST)
    assert [element.keyword for element in given_back] == [
        *("PatientName", "PatientSex", "ScheduledProcedureStepSequence"),
    ]
    assert str(given_back.PatientName) == "Zhang^Wei"
    assert not given_back.PatientSex
    step = given_back.ScheduledProcedureStepSequence[0]
    assert (step.Modality, step.StationName or "") == ("NM", "")
    assert len(step) == 2


def test_an_empty_sequence_key_is_answered_with_the_whole_sequence() -> None:
    given_back = answer(dataset(ScheduledProcedureStepSequence=[]), ITEM, WORKLIST)
    assert given_back.ScheduledProcedureStepSequence[0] == ITEM.ScheduledProcedureStepSequence[0]


@pytest.mark.parametrize("asked", ["2026", "20261399", "20260101 - 20260102", "*", "tomorrow"])
def test_a_date_that_is_none_is_a_problem_and_finds_nobody(asked: str) -> None:
    keys = scheduled(ScheduledProcedureStepStartDate=asked)
    assert not match(keys, ITEM, WORKLIST)
    assert len(problems(keys, WORKLIST)) == 1
    assert asked not in problems(keys, WORKLIST)[0]


def test_query_and_retrieve_names_fold_case_and_levels_bound_the_keys() -> None:
    study = dataset(PatientName="ZHANG^WEI", PatientID="P1", StudyDate="20260106", StudyInstanceUID="1.2.3")
    keys = dataset(QueryRetrieveLevel="STUDY", PatientName="zhang*", StudyDate="20260101-", Modality="CT")
    assert match(keys, study, STUDY_ROOT)
    assert match(keys, study, PATIENT_ROOT)
    assert not match(dataset(QueryRetrieveLevel="STUDY", PatientID="Q*"), study, STUDY_ROOT)
    assert match(dataset(QueryRetrieveLevel="STUDY", PatientID="P*"), study, STUDY_ROOT)
    assert answer(keys, study, STUDY_ROOT).QueryRetrieveLevel == "STUDY"


def test_a_query_needs_a_level_of_its_model() -> None:
    assert problems(dataset(QueryRetrieveLevel="PATIENT"), STUDY_ROOT)
    assert problems(dataset(PatientName="A"), PATIENT_ROOT)
    assert not problems(dataset(QueryRetrieveLevel="PATIENT"), PATIENT_ROOT)


def test_what_a_database_may_filter_by_is_only_what_must_hold() -> None:
    keys = scheduled(ScheduledStationAETitle="CAM1", Modality="*", ScheduledProcedureStepStartDate="20260105-20260107")
    keys.update(dataset(PatientID="P*", AccessionNumber="A*", PatientName="Zh*g", StudyInstanceUID="1.2\\1.3"))
    criteria = as_criteria(keys, WORKLIST)
    assert (criteria.patient_id, criteria.accession, criteria.name_prefix) == ("P*", None, "Zh")
    assert (criteria.station_aet, criteria.modality, criteria.study_uids) == ("CAM1", None, ("1.2", "1.3"))
    assert (str(criteria.first_date), str(criteria.last_date)) == ("2026-01-05", "2026-01-07")


@given(st.text(alphabet="ab*?", max_size=12), st.text(alphabet="ab", max_size=12))
def test_wild_cards_mean_what_a_plain_definition_says(pattern: str, text: str) -> None:
    def plain(at: str, rest: str) -> bool:
        if not at:
            return not rest
        if at[0] == "*":
            return any(plain(at.lstrip("*"), rest[skip:]) for skip in range(len(rest) + 1))
        return bool(rest) and at[0] in {"?", rest[0]} and plain(at[1:], rest[1:])

    assert wildcard_matches(pattern, text) is plain(pattern, text)


KEYS = sorted({*WORKLIST.levels[""], *STUDY_ROOT.levels["STUDY"], *STUDY_ROOT.levels["IMAGE"]})


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom warns of such bytes, and goes on
@given(st.sampled_from(KEYS), st.sampled_from(["LO", "DA", "UI", "SQ", "US", "UN", "PN", None]), st.binary(max_size=40))
def test_no_key_however_wrong_raises(tag: int, vr: str | None, value: bytes) -> None:
    keys = dataset(QueryRetrieveLevel="IMAGE")
    raw = RawDataElement(Tag(tag), vr, len(value), value, 0, is_implicit_VR=vr is None, is_little_endian=True)
    keys._dict[Tag(tag)] = raw
    for model in (WORKLIST, STUDY_ROOT):
        match(keys, ITEM, model)
        problems(keys, model)
        as_criteria(keys, model)
        answer(keys, ITEM, model)


def test_required_keys_of_the_worklist_have_the_types_of_table_k_6_1() -> None:
    step = WORKLIST.levels[""][0x00400100]
    assert step.matching is Matching.SEQUENCE
    assert {tag for tag, key in step.items.items() if key.use == "R"} == {
        *(0x00080060, 0x00400001, 0x00400002, 0x00400003, 0x00400006),
    }
    assert {tag for tag, key in WORKLIST.levels[""].items() if key.use == "R"} == {0x00100010, 0x00100020, 0x00400100}
