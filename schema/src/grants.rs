//! What each role's database user may do on PostgreSQL: what the architecture promises, held by the database.

/// Which table, which privileges (a column list narrows a privilege).
type Grants = &'static [(&'static str, &'static str)];

/// The RA faces the internet. It brings applications with their evidence, signed instructions, card events, what phones say of
/// commands, and its own refusals; it records verifiers' lookups. Everything else it reads at most, and of phones not the push
/// token: it can neither write events (and so hold up the counter that every revocation needs), nor draw beacons, nor touch
/// certificates, holds, CRLs, leases or the CA's records of what was redeemed and certified, nor mark a card event as applied, nor
/// decide an application or an instruction, nor settle a command.
const RA: Grants = &[
    ("__diesel_schema_migrations", "SELECT"),
    ("store_meta", "SELECT"),
    ("ca_key", "SELECT"),
    ("beacon", "SELECT"),
    ("application", "SELECT, INSERT (digest, challenge, accepted_at, ticket_hash)"),
    ("application_evidence", "INSERT"),
    ("card_crl", "SELECT, INSERT"),
    ("card_event_inbox", "SELECT, INSERT (event_id, issuer_key_id, serial, sequence, change, reason, occurred_at, source, received_at)"),
    ("holder", "SELECT"),
    ("certificate", "SELECT"),
    ("certificate_body", "SELECT"),
    ("certified_key", "SELECT"),
    ("card_state", "SELECT"),
    ("card_distribution_point", "SELECT"),
    ("link", "SELECT"),
    ("hold", "SELECT"),
    ("rejection", "INSERT (digest, code, rejected_at)"),
    ("instruction", "SELECT, INSERT (digest, form, message, received_at)"),
    ("device", "SELECT (id, public_id, holder, platform, model, key_storage, push_dead, command_key, added_at)"),
    ("device_command", "SELECT"),
    ("device_command_certificate", "SELECT"),
    ("device_command_result", "INSERT (command_public_id, body, signed, received_at)"),
    ("command_key", "SELECT"),
    ("batch", "SELECT"),
    ("schedule", "SELECT"),
    ("channel", "SELECT"),
    ("lookup", "INSERT (verifier, purpose, question, found, at)"),
    ("event", "SELECT"),
    ("event_counter", "SELECT"),
    ("revocation_latency", "SELECT"),
    ("test_certificate", "SELECT (certificate_id, status)"),
    ("log_head", "SELECT"),
    ("log_leaf", "SELECT"),
    ("log_tile", "SELECT"),
    ("audit_export", "SELECT"),
    ("audit_export_part", "SELECT"),
    ("audit_evidence_chunk", "SELECT"),
];

/// The CA role. It adds and decides, but does not delete (old beacons, refusals that became events, holds that ended, the octets of
/// old lists and of old exports, and what is purged apart: the database itself keeps an event whose leaf was not purged first) and
/// never changes an event, a certificate's body, a recorded intent or what the RA received, but that it takes away what an instruction
/// said once that is purged.
const CA: Grants = &[
    ("__diesel_schema_migrations", "SELECT"),
    ("store_meta", "SELECT, UPDATE (epoch, reconciling_since)"),
    ("ca_key", "SELECT, INSERT, UPDATE (last_crl_number, retired_at)"),
    ("crl_shard", "SELECT, INSERT"),
    ("responder", "SELECT, INSERT"),
    ("beacon", "SELECT, INSERT, DELETE"),
    ("application", "SELECT, UPDATE (state, decided_at, refusal_code, refusal_detail, device_id)"),
    ("application_evidence", "SELECT, DELETE"),
    ("card_crl", "SELECT, DELETE"),
    ("holder", "SELECT, INSERT, UPDATE (holder_id)"),
    ("issuance_intent", "SELECT, INSERT"),
    ("certificate", "SELECT, INSERT, UPDATE (state, reason, revoked_at, invalidity_at)"),
    ("certificate_body", "SELECT, INSERT, DELETE"),
    ("card_state", "SELECT, INSERT, UPDATE (state, reason, revoked_at, held_since, released_at, last_sequence), DELETE"),
    ("card_distribution_point", "SELECT, INSERT"),
    ("link", "SELECT, INSERT, UPDATE (distribution_point_id, second_look_at), DELETE"),
    ("certified_key", "SELECT, INSERT"),
    ("spent_challenge", "SELECT, INSERT"),
    ("card_event_inbox", "SELECT, INSERT, UPDATE (applied_at), DELETE"),
    ("hold", "SELECT, INSERT, DELETE"),
    ("batch", "SELECT, INSERT, UPDATE (state, cursor, cards, changed, finished_at)"),
    ("rejection", "SELECT, DELETE"),
    ("feed_cursor", "SELECT, INSERT, UPDATE"),
    ("channel", "SELECT, INSERT, UPDATE (last_success_at)"),
    ("instruction", "SELECT, UPDATE (message, state, decided_at, refusal_code, refusal_detail, outcome, approved_by)"),
    ("deferred_instruction", "SELECT, INSERT"),
    ("deferred_lift", "SELECT, INSERT, UPDATE (event_id), DELETE"),
    ("settings_topic", "SELECT, INSERT, UPDATE (sha256), DELETE"),
    ("device", "SELECT, INSERT, UPDATE (push_token, push_dead), DELETE"),
    ("device_command", "SELECT, INSERT, UPDATE (state, attempts, next_attempt_at, sent_at, settled_at, event_position), DELETE"),
    ("device_command_certificate", "SELECT, INSERT, DELETE"),
    ("device_command_result", "SELECT, UPDATE (taken_at), DELETE"),
    ("command_key", "SELECT, INSERT"),
    ("notice", "SELECT, INSERT, UPDATE (state, attempts, next_attempt_at, told_at), DELETE"),
    ("lookup", "SELECT (id, at), DELETE"),
    ("follower", "SELECT, INSERT, UPDATE (position)"),
    ("schedule", "SELECT, INSERT, UPDATE (expression, last_started_at, last_finished_at, last_outcome, requested_at)"),
    ("event", "SELECT, INSERT, DELETE"),
    ("event_counter", "SELECT, UPDATE (position)"),
    ("log_head", "SELECT, UPDATE"),
    ("log_leaf", "SELECT, INSERT, UPDATE (position, salt, absent)"),
    ("log_tile", "SELECT, INSERT, UPDATE (hashes)"),
    ("audit_export", "SELECT, INSERT, UPDATE (state, cursor, manifest, failure, settled_at)"),
    ("audit_export_part", "SELECT, INSERT, DELETE"),
    ("audit_evidence_chunk", "SELECT, INSERT, DELETE"),
    ("crl", "SELECT, INSERT, UPDATE"),
    ("crl_chunk", "SELECT, INSERT, DELETE"),
    ("forgotten_revocation", "SELECT, INSERT, UPDATE"),
    ("revocation_latency", "SELECT, INSERT, UPDATE"),
    ("test_certificate", "SELECT, INSERT"),
    ("lease", "SELECT, INSERT, UPDATE"),
];

/// The status role reads what relying parties may learn, and nothing that names a holder or a card.
const STATUS: Grants = &[
    ("__diesel_schema_migrations", "SELECT"),
    ("store_meta", "SELECT"),
    ("ca_key", "SELECT"),
    ("responder", "SELECT"),
    ("certificate", "SELECT (id, kind, ca_key_id, serial, shard, state, reason, revoked_at, invalidity_at, not_before, not_after)"),
    ("event", "SELECT"),
    ("event_counter", "SELECT"),
    ("crl_shard", "SELECT"),
    ("crl", "SELECT"),
    ("crl_chunk", "SELECT"),
    ("forgotten_revocation", "SELECT"),
    ("revocation_latency", "SELECT"),
    ("test_certificate", "SELECT"),
    ("log_head", "SELECT"),
    ("log_leaf", "SELECT (leaf, commitment)"),
    ("log_tile", "SELECT"),
];

/// How many connections the users of the roles that face the internet may have at once, where no limit was set before. The server
/// has a hundred if nobody said otherwise: whoever has broken in must not take those that the CA role needs for a cascade.
const CONNECTIONS: u32 = 40;

/// The statements that give the three roles' database users exactly what they need, and take everything else from them and
/// from the public, which in a database made before PostgreSQL 15 may also make tables and functions. To be run by the tables'
/// owner, in their schema, after each migration. The users must exist. If the owner may not limit the users' connections, the
/// server warns, and somebody who may has to do it.
pub fn grants_sql(ra_user: &str, ca_user: &str, status_user: &str) -> String {
    let mut statements =
        String::from("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;\nREVOKE CREATE ON SCHEMA public FROM PUBLIC;\n");
    for (user, grants) in [(ra_user, RA), (ca_user, CA), (status_user, STATUS)] {
        let user = quoted(user);
        statements += &format!("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {user};\nGRANT USAGE ON SCHEMA public TO {user};\n");
        for (table, privileges) in grants {
            statements += &format!("GRANT {privileges} ON {table} TO {user};\n");
        }
    }
    for user in [ra_user, status_user] {
        statements += &limit_connections(user);
    }
    statements
}

/// Sets the limit of a user that has none.
fn limit_connections(user: &str) -> String {
    let (name, identifier) = (literal(user), quoted(user));
    let warning = literal("tsunagi: not permitted to limit the connections of a user; see ALTER ROLE ... CONNECTION LIMIT");
    let block = format!(
        "BEGIN IF (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = {name}) = -1 \
         THEN ALTER ROLE {identifier} CONNECTION LIMIT {CONNECTIONS}; END IF; \
         EXCEPTION WHEN insufficient_privilege THEN RAISE WARNING {warning}; END"
    );
    format!("DO {};\n", literal(&block))
}

/// A character string literal (SQL:2016 5.3).
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A quoted identifier (SQL:2016 5.2, delimited identifier).
fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_cannot_break_out_of_their_quotes() {
        assert_eq!(quoted("ra\"; DROP TABLE lease; --"), "\"ra\"\"; DROP TABLE lease; --\"");
        assert_eq!(literal("ra'; DROP TABLE lease; --"), "'ra''; DROP TABLE lease; --'");
    }

    #[test]
    fn the_registration_authority_is_granted_no_table_of_the_ca_for_writing() {
        for (table, privileges) in RA {
            let brings = [
                "application",
                "application_evidence",
                "card_crl",
                "card_event_inbox",
                "rejection",
                "instruction",
                "device_command_result",
                "lookup",
            ];
            assert!(brings.contains(table) || !privileges.contains("INSERT"), "{table}");
            assert!(!privileges.contains("UPDATE") && !privileges.contains("DELETE"), "{table}");
        }
        for table in ["spent_challenge", "crl", "lease", "notice", "follower", "issuance_intent", "feed_cursor", "responder"] {
            assert!(RA.iter().all(|(granted, _)| *granted != table), "{table}");
        }
    }
}
