"""The part of an audit's page that says what the machine-made clips measured."""

from study.audit import audit_measures, audit_page


def clip(set_, name, pulse, frechet):
    return {"set": set_, "name": name, "source": "a", "measures": {"pulse": pulse, "frechet_0.13": frechet}}


RECORD = {
    "rate": 16000,
    "bandwidth": 7200,
    "clips": [
        clip("UMG", "one", 0.1, 0.02), clip("UMG", "two", 0.2, 0.03), clip("UMG", "three", 0.3, 0.09),
        clip("VAR", "four", None, 0.01), {"set": "UMG", "name": "stranger", "source": "?"},
    ],
    "anchors": {
        "a": {
            "recipe": "r",
            "real": {"pulse": 0.5},
            "halves": {"frechet_0.13": 0.1, "pulse": 0.5},
            "imposed": {"frechet_0.13": 0.004, "pulse": 0.2},
            "noise": {"frechet_0.13": 4.0, "pulse": 0.08},
        },
    },
}  # fmt: skip


def test_medians_stand_by_set_with_the_anchors_after_them():
    heads, rows = audit_measures.rows(RECORD)
    assert heads == ["measure", "better", "UMG", "VAR", "real", "halves", "imposed", "noise", "meaning"]
    assert [row[0] for row in rows] == ["frechet_0.13", "pulse"]
    assert rows[0][2:-1] == ["0.030", "0.010", "-", "0.100", "0.004*", "4.00"]
    assert rows[1][2:-1] == ["0.200", "-", "0.500", "0.500", "0.200", "0.080"]


def test_a_study_of_an_older_version_has_fewer_anchors():
    old = RECORD | {"anchors": {"a": {"halves": {"frechet_0.13": 0.1}, "noise": {"frechet_0.13": 4.0}}}}
    assert audit_measures.rows(old)[0] == ["measure", "better", "UMG", "VAR", "halves", "noise", "meaning"]


def test_a_study_that_measured_nothing_has_no_such_part():
    assert audit_measures.section({}, audit_page._table) == ""
    assert audit_measures.section({"clips": [{"set": "UMG", "name": "x", "source": "?"}]}, None) == ""


def test_the_part_names_measures_and_no_clip_and_is_harmless():
    record = RECORD | {"clips": [clip("<script>", "secret", 0.1, 0.02)]}
    text = audit_measures.section(record, audit_page._table)
    assert "frechet_0.13" in text
    assert "pulse" in text
    assert "secret" not in text
    assert "<script>" not in text
