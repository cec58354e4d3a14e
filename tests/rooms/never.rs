//! What must never be in a store, whatever was killed or tried: a name, and a query that counts what there is of it.

/// Under any policy.
pub(crate) const NEVER: &[(&str, &str)] = &[
    // A certificate has a body and hangs on a card, or is for relying parties to test with: one of the two, and not both.
    (
        "certificate_without_body",
        "SELECT count(*) FROM certificate WHERE \
         (id IN (SELECT certificate_id FROM certificate_body)) = (id IN (SELECT certificate_id FROM test_certificate))",
    ),
    (
        "certificate_without_link",
        "SELECT count(*) FROM certificate WHERE \
         (id IN (SELECT certificate_id FROM link)) = (id IN (SELECT certificate_id FROM test_certificate))",
    ),
    (
        "certificate_without_intent",
        "SELECT count(*) FROM certificate AS c WHERE NOT EXISTS \
         (SELECT 1 FROM issuance_intent AS i WHERE i.kind = c.kind AND i.serial = c.serial AND i.ca_key_id = c.ca_key_id)",
    ),
    (
        "certificate_of_an_application_not_issued",
        "SELECT count(*) FROM certificate_body AS b JOIN application AS a ON a.id = b.application_id WHERE a.state <> 2",
    ),
    (
        "issued_application_without_certificate",
        "SELECT count(*) FROM application WHERE state = 2 AND id NOT IN (SELECT application_id FROM certificate_body)",
    ),
    (
        "holder_with_two_live_certificates",
        "SELECT count(*) FROM (SELECT 1 FROM certificate WHERE state IN (1, 2) GROUP BY holder, kind HAVING count(*) > 1) AS doubled",
    ),
    (
        "certificate_not_announced_once",
        "SELECT count(*) FROM certificate AS c WHERE \
         (SELECT count(*) FROM event AS e WHERE e.certificate_id = c.id AND e.kind = 'certificate.issued') <> 1",
    ),
    (
        "revocation_not_announced_once",
        "SELECT count(*) FROM certificate AS c WHERE \
         (SELECT count(*) FROM event AS e WHERE e.certificate_id = c.id AND e.kind = 'certificate.revoked') \
         <> CASE WHEN c.state = 3 THEN 1 ELSE 0 END",
    ),
    ("event_of_no_certificate", "SELECT count(*) FROM event WHERE kind LIKE 'certificate.%' AND certificate_id IS NULL"),
    (
        "gap_among_the_events",
        "SELECT count(*) FROM event_counter AS c WHERE c.position <> (SELECT count(*) FROM event) \
         OR c.position <> (SELECT coalesce(max(position), 0) FROM event)",
    ),
    (
        "certificate_held_without_cause_or_with_one_and_not_held",
        "SELECT count(*) FROM certificate AS c WHERE (c.state = 2) <> EXISTS (SELECT 1 FROM hold AS h WHERE h.certificate_id = c.id)",
    ),
    (
        "challenge_not_spent",
        "SELECT CASE WHEN (SELECT count(*) FROM spent_challenge) < (SELECT count(*) FROM application WHERE state = 2) THEN 1 ELSE 0 END",
    ),
    ("certificate_without_phone", "SELECT count(*) FROM application WHERE state = 2 AND device_id IS NULL"),
    (
        "key_not_certified_once",
        "SELECT abs((SELECT count(*) FROM certified_key) + (SELECT count(*) FROM test_certificate) - (SELECT count(*) FROM certificate))",
    ),
];

/// Where certificates follow their cards, as they do under JPKI's rules of life.
pub(crate) const NEVER_UNDER_JPKI: &[(&str, &str)] = &[
    (
        "live_certificate_on_a_revoked_card",
        "SELECT count(*) FROM certificate AS c JOIN link AS l ON l.certificate_id = c.id JOIN card_state AS s ON s.id = l.card_id \
         WHERE c.state IN (1, 2) AND s.state = 2",
    ),
    (
        "live_certificate_on_a_held_card",
        "SELECT count(*) FROM certificate AS c JOIN link AS l ON l.certificate_id = c.id JOIN card_state AS s ON s.id = l.card_id \
         WHERE c.state = 1 AND s.state = 3",
    ),
];
