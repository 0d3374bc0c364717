from archflow_schema.diagnostic import Diagnostic, Range, Report


def at(line, column=1, file="x"):
    return Range(file=file, line=line, column=column, end_line=line, end_column=column + 1)


def found(code, place=None, severity="error"):
    return Diagnostic(code=code, severity=severity, summary=code, range=place)


def test_findings_come_in_the_order_of_the_file():
    report = Report()
    report.extend([found("c"), found("b", at(2)), found("a", at(1, 5)), found("a0", at(1, 2))])
    assert [one.code for one in report] == ["a0", "a", "b", "c"]


def test_an_exact_repetition_is_kept_once():
    report = Report()
    report.add(found("a", at(1)))
    report.add(found("a", at(1)))
    report.add(found("a", at(2)))
    assert len(report) == 2


def test_strict_turns_warnings_into_errors_and_leaves_notes():
    report = Report()
    report.extend([found("a", severity="warning"), found("b", severity="note")])
    assert (report.errors, report.warnings, report.failed) == (0, 1, False)
    report.as_errors()
    assert (report.errors, report.warnings, report.failed) == (1, 0, True)
    assert [one.severity for one in report] == ["error", "note"]
