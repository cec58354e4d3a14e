#!/usr/bin/env python3
"""Holds certificates, CRLs and OCSP responses against pkilint.

    judge.py DIR [--expect SUBJECT...] [--allowed FILE] [--output text|json]

DIR is a directory as `tsunagi demo --dir` fills it (its `artifacts`): what is judged is found by name.

    ca-*.pem, phone-*.pem    certificates (private keys, *.key.pem, are passed over)
    ocsp-*.der               OCSP responses, and the responder certificates inside them
    crl-*.crl                CRLs, DER or PEM

A smartphone or responder certificate is also held against the CA certificate of its kind. The card's own certificates are not
judged: they imitate another issuer's, faults included. DIR must have something of each subject that is expected: by default of all.

Every finding of severity WARNING, ERROR or FATAL fails, unless the file of allowed findings names it with a reason.
Exit status: 0 clean, 1 findings, 2 nothing or too little to judge.
"""

import argparse
import contextlib
import io
import json
import pathlib
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pkilint.bin import lint_crl, lint_ocsp_response, lint_pkix_cert, lint_pkix_signer_signee_cert_chain

SEVERITY = "WARNING"
SUBJECTS = ("certificate", "chain", "crl", "ocsp")
KINDS = ("signature", "authentication")


def lint(main, *arguments):
    """Runs one of pkilint's programs in this process and gives its findings, each as (severity, code, place, message)."""
    report, complaint = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(report), contextlib.redirect_stderr(complaint):
        try:
            main(["lint", "-f", "JSON", "-s", SEVERITY, *map(str, arguments)])
        except Exception as error:  # a judge that stumbles over our bytes has found something, too
            return [("FATAL", "judge.stumbled", "", f"{type(error).__name__}: {error}")]
    try:
        results = json.loads(report.getvalue())["results"]
    except (ValueError, KeyError):
        return [("FATAL", "judge.unreadable", "", complaint.getvalue().strip() or report.getvalue().strip())]
    return [
        (finding["severity"], finding["code"], result["node_path"], finding.get("message") or "")
        for result in results
        for finding in result["finding_descriptions"]
    ]


def read_allowed(path):
    """Reads lines of `subject | code | reason`; gives a set of (subject, code)."""
    allowed = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = [field.strip() for field in line.split("|", 2)]
        if len(fields) != 3 or fields[0] not in SUBJECTS or not fields[1] or not fields[2]:
            sys.exit(f"{path.name}:{number}: expected `{'/'.join(SUBJECTS)} | code | reason`")
        allowed.add((fields[0], fields[1]))
    return allowed


def kind_of(path):
    return next((kind for kind in KINDS if kind in path.name), None)


def responder_certificates(path):
    """The certificates inside an OCSP response, in DER; none where the response cannot be read (pkilint will say so)."""
    try:
        response = ocsp.load_der_ocsp_response(path.read_bytes())
        return [certificate.public_bytes(Encoding.DER) for certificate in response.certificates]
    except (ValueError, NotImplementedError, x509.InvalidVersion):
        return []


def judge(directory, workspace):
    """Gives for each thing judged its subject, its name and its findings."""
    authorities = {kind_of(path): path for path in sorted(directory.glob("ca-*.pem")) if not path.name.endswith(".key.pem")}
    for path in authorities.values():
        yield "certificate", path.name, lint(lint_pkix_cert.main, path)

    issued = [(path.name, path) for path in sorted(directory.glob("phone-*.pem")) if not path.name.endswith(".key.pem")]
    responders = set()
    for path in sorted(directory.glob("ocsp-*.der")):
        yield "ocsp", path.name, lint(lint_ocsp_response.main, path)
        for number, der in enumerate(responder_certificates(path), start=1):
            # One responder signs many answers.
            if (kind_of(path), der) in responders:
                continue
            responders.add((kind_of(path), der))
            extracted = workspace / f"{path.stem}-responder-{number}.der"
            extracted.write_bytes(der)
            issued.append((f"{path.name}, certificate {number}", extracted))
    for name, path in issued:
        yield "certificate", name, lint(lint_pkix_cert.main, path)
        if (authority := authorities.get(kind_of(path))) is not None:
            yield "chain", f"{name}, issued by {authority.name}", lint(lint_pkix_signer_signee_cert_chain.main, authority, path)

    for path in sorted(directory.glob("crl-*.crl")):
        yield "crl", path.name, lint(lint_crl.main, "-t", "CRL", "-p", "PKIX", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--expect", nargs="+", choices=SUBJECTS, default=SUBJECTS)
    parser.add_argument("--allowed", type=pathlib.Path, default=pathlib.Path(__file__).with_name("pkilint-allowed.txt"))
    parser.add_argument("--output", choices=("text", "json"), default="text")
    arguments = parser.parse_args()

    allowed = read_allowed(arguments.allowed)
    judged = {subject: 0 for subject in SUBJECTS}
    failures, passed_over = [], set()
    with tempfile.TemporaryDirectory() as workspace:
        for subject, name, findings in judge(arguments.directory, pathlib.Path(workspace)):
            judged[subject] += 1
            for severity, code, place, message in findings:
                if (subject, code) in allowed:
                    passed_over.add((subject, code))
                else:
                    failures.append({"subject": subject, "name": name, "severity": severity, "code": code, "place": place, "message": message})

    missing = [subject for subject in arguments.expect if judged[subject] == 0]
    if arguments.output == "json":
        print(json.dumps({"judged": judged, "failures": failures, "allowed": sorted(passed_over), "missing": missing}, indent=2))
    else:
        for failure in failures:
            print("{severity} {code}: {name} @ {place} {message}".format(**failure))
        for subject, code in sorted(passed_over):
            print(f"allowed: {subject} {code}")
        print("judged: " + ", ".join(f"{count} × {subject}" for subject, count in judged.items()) + f"; findings: {len(failures)}")
        for subject in missing:
            print(f"nothing to judge: {subject}")
    return 2 if missing else int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
