//! The words of the page, in Japanese and English.

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Language {
    Japanese,
    English,
}

impl Language {
    pub(super) const ALL: [Self; 2] = [Self::Japanese, Self::English];

    /// The tag (RFC 5646).
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Japanese => "ja",
            Self::English => "en",
        }
    }

    /// The one that is asked for: by `lang` in the query, else the one of ours that the value of Accept-Language (RFC 9110 section
    /// 12.5.4) weighs most, else English.
    pub(super) fn wanted(query: &str, accepted: &str) -> Self {
        let of_tag =
            |tag: &str| Self::ALL.into_iter().find(|language| tag.trim().to_ascii_lowercase().split('-').next() == Some(language.as_str()));
        if let Some(chosen) = query.split('&').find_map(|pair| pair.strip_prefix("lang=")).and_then(of_tag) {
            return chosen;
        }
        let weighed = accepted.split(',').take(32).filter_map(|range| {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
            of_tag(tag).filter(|_| weight > 0.0).map(|language| (language, weight))
        });
        // The first of those that weigh the same.
        let best = weighed.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map_or(Self::English, |(language, _)| language)
    }
}

/// The words of the page in one language.
pub(super) struct Words {
    pub(super) language: Language,
    pub(super) other: (Language, &'static str),
    pub(super) title: &'static str,
    pub(super) introduction: &'static str,
    pub(super) for_programs: &'static str,
    pub(super) ca_certificates: &'static str,
    pub(super) compare: &'static str,
    pub(super) signature: &'static str,
    pub(super) authentication: &'static str,
    pub(super) generation: &'static str,
    pub(super) name: &'static str,
    pub(super) download: &'static str,
    pub(super) fingerprint: &'static str,
    pub(super) key_identifier: &'static str,
    pub(super) validity: &'static str,
    pub(super) retired_at: &'static str,
    pub(super) policy: &'static str,
    pub(super) practice_statement: &'static str,
    pub(super) responder: &'static str,
    pub(super) crls: &'static str,
    pub(super) crl_scope: &'static str,
    pub(super) shard: &'static str,
    pub(super) list: &'static str,
    pub(super) number: &'static str,
    pub(super) this_update: &'static str,
    pub(super) next_update: &'static str,
    pub(super) entries: &'static str,
    pub(super) octets: &'static str,
    pub(super) none_yet: &'static str,
    pub(super) promises: &'static str,
    pub(super) answer_life: &'static str,
    pub(super) cache: &'static str,
    pub(super) cut_off: &'static str,
    pub(super) never_issued: &'static str,
    pub(super) crl_schedule: &'static str,
    pub(super) crl_overlap: &'static str,
    pub(super) crl_at_once: &'static str,
    pub(super) crl_at_once_any: &'static str,
    pub(super) crl_at_once_urgent: &'static str,
    pub(super) crl_keep: &'static str,
    pub(super) crl_cache: &'static str,
    pub(super) seconds: &'static str,
    pub(super) days: &'static str,
    pub(super) measured: &'static str,
    pub(super) by_ocsp: &'static str,
    pub(super) by_crl: &'static str,
    pub(super) way: &'static str,
    pub(super) count: &'static str,
    pub(super) lost: &'static str,
    pub(super) half: &'static str,
    pub(super) nearly_all: &'static str,
    pub(super) longest: &'static str,
    pub(super) tests: &'static str,
    pub(super) about_tests: &'static str,
    pub(super) kind: &'static str,
    pub(super) status: &'static str,
    pub(super) serial: &'static str,
    pub(super) good: &'static str,
    pub(super) revoked: &'static str,
    pub(super) held: &'static str,
    pub(super) expired: &'static str,
    pub(super) log: &'static str,
    pub(super) about_log: &'static str,
    pub(super) public_key: &'static str,
    pub(super) checkpoint: &'static str,
}

impl Words {
    /// Those of a language.
    pub(super) const fn of(language: Language) -> &'static Self {
        match language {
            Language::Japanese => &JAPANESE,
            Language::English => &ENGLISH,
        }
    }

    /// What a test certificate's status is called.
    pub(super) fn status_of(&self, status: &str) -> &'static str {
        match status {
            "good" => self.good,
            "revoked" => self.revoked,
            "held" => self.held,
            _ => self.expired,
        }
    }
}

const ENGLISH: Words = Words {
    language: Language::English,
    other: (Language::Japanese, "日本語"),
    title: "Certificate status: for relying parties",
    introduction: "What is needed to check certificates in smartphones. Everything that is offered here over plain HTTP is signed; \
                   trust in a CA certificate comes from comparing its fingerprint with one that you got in another way.",
    for_programs: "The same for programs:",
    ca_certificates: "CA certificates",
    compare: "All key generations of a CA bear the same name: tell them apart by the key identifier.",
    signature: "for signature",
    authentication: "for user authentication",
    generation: "generation",
    name: "Name",
    download: "Certificate (DER)",
    fingerprint: "SHA-256 fingerprint",
    key_identifier: "Key identifier",
    validity: "Valid",
    retired_at: "Retired (what it issued has ended, and its status is final)",
    policy: "Certificate policy",
    practice_statement: "Practice statement",
    responder: "OCSP",
    crls: "Certificate revocation lists",
    crl_scope: "Each list covers the certificates that name its address as their distribution point, and no others.",
    shard: "Shard",
    list: "List",
    number: "Number",
    this_update: "This update",
    next_update: "Next update",
    entries: "Entries",
    octets: "Octets",
    none_yet: "None yet.",
    promises: "How fresh it is",
    answer_life: "An OCSP answer is good for",
    cache: "HTTP caches may repeat an OCSP answer for",
    cut_off: "Cut off from its database, the service answers from memory for at most, and says tryLater then",
    never_issued: "A serial number that was never issued is told as",
    crl_schedule: "Regular CRLs (cron, seconds first, UTC)",
    crl_overlap: "A CRL is good beyond the next regular one for",
    crl_at_once: "Published at once, besides",
    crl_at_once_any: "every revocation and hold, and the lifting of holds",
    crl_at_once_urgent: "revocations of keys in wrong hands",
    crl_keep: "Regular CRLs are kept for download for",
    crl_cache: "HTTP caches may repeat a CRL for",
    seconds: "seconds",
    days: "days",
    measured: "Measured, last 24 hours: from a revocation's commit until it was told",
    by_ocsp: "OCSP",
    by_crl: "CRL",
    way: "By",
    count: "Revocations",
    lost: "Not told in time",
    half: "Half within",
    nearly_all: "99 % within",
    longest: "Longest",
    tests: "Test certificates",
    about_tests: "Nobody holds them, and their private keys were thrown away. They are renewed before they end, under the same addresses.",
    kind: "Kind",
    status: "Status",
    serial: "Serial number",
    good: "good",
    revoked: "revoked",
    held: "on hold",
    expired: "expired",
    log: "Issuance log",
    about_log: "Everything the CA does is in a public log that shows nobody (C2SP tlog-tiles). Holders' receipts and auditors' exports are \
                verified with its public key, which you should have compared with one that you got in another way.",
    public_key: "Public key (verifier key, C2SP signed-note)",
    checkpoint: "Checkpoint",
};

const JAPANESE: Words = Words {
    language: Language::Japanese,
    other: (Language::English, "English"),
    title: "証明書の有効性確認（検証者向け）",
    introduction: "スマートフォンに搭載された電子証明書の有効性を確認するための情報です。ここで HTTP により提供するものにはすべて署名があります。\
                   認証局の証明書は、別の手段で入手したフィンガープリントと照合してから信頼してください。",
    for_programs: "プログラム向けの同じ内容：",
    ca_certificates: "認証局の証明書",
    compare: "同じ認証局の鍵は世代が違っても名前が同じです。鍵識別子で見分けてください。",
    signature: "署名用",
    authentication: "利用者証明用",
    generation: "世代",
    name: "名前",
    download: "証明書（DER）",
    fingerprint: "SHA-256 フィンガープリント",
    key_identifier: "鍵識別子",
    validity: "有効期間",
    retired_at: "引退（発行した証明書はすべて終了し、状態は最終です）",
    policy: "証明書ポリシー",
    practice_statement: "運用規程",
    responder: "OCSP",
    crls: "証明書失効リスト（CRL）",
    crl_scope: "各リストは、その URL を配布点として記載した証明書だけを対象とします。",
    shard: "分割番号",
    list: "リスト",
    number: "番号",
    this_update: "今回の更新",
    next_update: "次回の更新",
    entries: "件数",
    octets: "オクテット数",
    none_yet: "まだありません。",
    promises: "情報の新しさ",
    answer_life: "OCSP 応答の有効時間",
    cache: "HTTP キャッシュが OCSP 応答を再利用できる時間",
    cut_off: "データベースから切り離されたとき記憶から応答する最長の時間（その後は tryLater）",
    never_issued: "発行されていないシリアル番号への応答",
    crl_schedule: "定期の CRL（cron、先頭は秒、UTC）",
    crl_overlap: "次の定期の CRL の時刻を過ぎても有効な時間",
    crl_at_once: "定期のほかに直ちに公開するもの",
    crl_at_once_any: "すべての失効と一時保留、および一時保留の解除",
    crl_at_once_urgent: "鍵の危殆化による失効",
    crl_keep: "定期の CRL をダウンロードできる期間",
    crl_cache: "HTTP キャッシュが CRL を再利用できる時間",
    seconds: "秒",
    days: "日",
    measured: "実測値（直近 24 時間）：失効の確定から通知可能になるまで",
    by_ocsp: "OCSP",
    by_crl: "CRL",
    way: "手段",
    count: "失効件数",
    lost: "時間内に反映されず",
    half: "半数がこの時間内",
    nearly_all: "99 % がこの時間内",
    longest: "最長",
    tests: "試験用証明書",
    about_tests: "所持者はなく、秘密鍵は破棄されています。終了の前に同じ URL で更新されます。",
    kind: "種類",
    status: "状態",
    serial: "シリアル番号",
    good: "有効",
    revoked: "失効",
    held: "一時保留",
    expired: "期限切れ",
    log: "発行ログ",
    about_log: "認証局の行ったことはすべて、個人を示さない公開ログ（C2SP tlog-tiles）に残ります。利用者の受領証と監査人の写しは、このログの公開鍵で検証できます。公開鍵は、別の手段で入手したものと必ず照合してください。",
    public_key: "公開鍵（C2SP signed-note の検証鍵）",
    checkpoint: "チェックポイント",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_goes_before_what_the_browser_accepts_and_english_is_for_all_others() {
        let wanted = Language::wanted;
        assert_eq!(wanted("", ""), Language::English);
        assert_eq!(wanted("", "ja-JP,ja;q=0.9,en;q=0.8"), Language::Japanese);
        assert_eq!(wanted("", "en;q=0.8, ja;q=0.9"), Language::Japanese);
        assert_eq!(wanted("", "en, ja"), Language::English);
        assert_eq!(wanted("", "ja;q=0, fr"), Language::English);
        assert_eq!(wanted("lang=en", "ja"), Language::English);
        assert_eq!(wanted("a=b&lang=ja", "en"), Language::Japanese);
        assert_eq!(wanted("lang=fr", "ja"), Language::Japanese);
    }
}
