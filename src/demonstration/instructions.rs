//! How to talk to a demonstration that goes on serving.

use super::stage::Stage;

/// URLs, and commands to paste.
pub(super) fn text(stage: &Stage, log_key: &str, revoked: bool) -> String {
    let settings = &stage.settings;
    let directory = stage.directory().display();
    let (ra, operators) = (settings.ra.listen, settings.operators.listen);
    let (status, name) = (&settings.status.url, &settings.ra.name);
    let (back_office, card_status) = (stage.back_office.url(), stage.back_office.status_url());
    let telemetry = settings.telemetry.listen.map_or_else(String::new, |address| format!("\n  metrics      http://{address}/metrics"));
    let next = if revoked {
        String::new()
    } else {
        format!(
            "\nRevoke the card and look again (its directory is artifacts/):\n\
             \n  tsunagi sandbox card revoke --sandbox {directory}/sandbox {directory}/artifacts\n"
        )
    };
    format!(
        "\nServing until SIGINT (Ctrl-C) or SIGTERM:\n\
         \n  holders      https://{ra}  (OpenAPI: /openapi.json)\
         \n  operators    https://{operators}  (client certificates in {directory}/installation/operators/)\
         \n  status       {status}\
         \n  back office  {back_office}, card status {card_status}{telemetry}\n\
         \nCommands to paste (openssl 3, curl):\n\
         \n  cd {directory}/artifacts\
         \n  openssl verify -x509_strict -CAfile ca-signature.pem phone-signature.pem\
         \n  openssl ocsp -issuer ca-signature.pem -cert phone-signature.pem -CAfile ca-signature.pem -url {status}/ocsp\
         \n  openssl ocsp -issuer ca-authentication.pem -cert phone-authentication.pem -CAfile ca-authentication.pem -url {status}/ocsp\
         \n  curl -s {status}/crl/signature-1.crl | openssl crl -inform DER -noout -text\
         \n  openssl cms -verify -inform DER -in application.cms -CAfile card-ca-signature-2.pem -purpose any\
         \n  curl -s --cacert {directory}/installation/ra/tls-ca.pem -X POST https://{ra}/v1/challenges\
         \n  tsunagi certificate list --settings {directory}/installation\n\
         \nTo enrol by hand (docs/enrol-by-hand.md):\n\
         \n  export RA_URL=https://{ra} RA_CA={directory}/installation/ra/tls-ca.pem RA_NAME={name}\
         \n  export CARD_DIR={directory}/artifacts CA_DIR={directory}/artifacts STATUS_URL={status}\
         \n  export LOG_KEY={log_key}\n\
         \nTo instruct by hand after that (docs/instruct-by-hand.md):\n\
         \n  export OPERATORS_URL=https://{operators} OPERATOR_DIR={directory}/installation/operators\n{next}"
    )
}
