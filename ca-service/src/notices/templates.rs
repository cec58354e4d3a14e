//! What holders are told, in the words of `ca-service/notices/`: one message with a title for each template and language.

use std::collections::BTreeMap;

use back_office::NoticeText;
use fluent::concurrent::FluentBundle;
use fluent::{FluentArgs, FluentResource};

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum NoticeTemplate {
    /// A certificate was issued (SP 800-157r1 section 2.2: the holder is told of each binding).
    CertificateIssued,
    /// A certificate was put on hold, for a first or for one more cause.
    CertificateHeld,
    /// One cause of a hold was lifted, another stands.
    HoldLifted,
    /// The last cause of a hold was lifted.
    CertificateReleased,
    /// A certificate was revoked.
    CertificateRevoked,
    /// A card was renewed and what hung on it has ended: an invitation to apply again.
    CardRenewed,
}

impl NoticeTemplate {
    /// The name of its message, which is stored with each notice.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::CertificateIssued => "certificate-issued",
            Self::CertificateHeld => "certificate-held",
            Self::HoldLifted => "certificate-hold-lifted",
            Self::CertificateReleased => "certificate-released",
            Self::CertificateRevoked => "certificate-revoked",
            Self::CardRenewed => "card-renewed",
        }
    }
}

/// A notice in every language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wording {
    /// In Japanese.
    pub(crate) japanese: NoticeText,
    /// In English.
    pub(crate) english: NoticeText,
}

/// A notice that cannot be put into words: of an unknown template, or without an argument that it needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the notice {template:?} cannot be written in {language:?}: {what}")]
pub struct WordingFault {
    template: String,
    language: &'static str,
    what: String,
}

/// The messages of every language.
pub(crate) struct Wordings {
    japanese: Language,
    english: Language,
}

impl Wordings {
    /// Reads the messages that the program carries; they fail only if the program was built wrongly.
    pub(crate) fn shipped() -> Result<Self, WordingFault> {
        Ok(Self {
            japanese: Language::read("ja", include_str!("../../notices/ja.ftl"))?,
            english: Language::read("en", include_str!("../../notices/en.ftl"))?,
        })
    }

    /// A notice in every language. `arguments` are the template's, by name.
    pub(crate) fn write(&self, template: &str, arguments: &BTreeMap<String, String>) -> Result<Wording, WordingFault> {
        Ok(Wording { japanese: self.japanese.write(template, arguments)?, english: self.english.write(template, arguments)? })
    }
}

/// The messages of one language, named by its tag (RFC 5646).
struct Language {
    tag: &'static str,
    messages: FluentBundle<FluentResource>,
}

impl Language {
    fn read(tag: &'static str, text: &str) -> Result<Self, WordingFault> {
        let fault = |what: String| WordingFault { template: String::new(), language: tag, what };
        let identifier = tag.parse().map_err(|_| fault("no language tag".to_owned()))?;
        let resource = FluentResource::try_new(text.to_owned()).map_err(|(_, errors)| fault(format!("{errors:?}")))?;
        let mut messages = FluentBundle::new_concurrent(vec![identifier]);
        // The arguments are words of ours, in the same script: no marks are needed around them.
        messages.set_use_isolating(false);
        messages.add_resource(resource).map_err(|errors| fault(format!("{errors:?}")))?;
        Ok(Self { tag, messages })
    }

    fn write(&self, template: &str, arguments: &BTreeMap<String, String>) -> Result<NoticeText, WordingFault> {
        let fault = |what: String| WordingFault { template: template.to_owned(), language: self.tag, what };
        let missing = || fault("there is no such message, or it lacks its title".to_owned());
        let message = self.messages.get_message(template).ok_or_else(missing)?;
        let title = message.get_attribute("title").ok_or_else(missing)?.value();
        let body = message.value().ok_or_else(missing)?;
        let given: FluentArgs<'_> = arguments.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let text = |pattern| {
            let mut errors = Vec::new();
            let text = self.messages.format_pattern(pattern, Some(&given), &mut errors).into_owned();
            if errors.is_empty() { Ok(text) } else { Err(fault(format!("{errors:?}"))) }
        };
        Ok(NoticeText { title: text(title)?, body: text(body)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every template, with the names of its arguments.
    const TEMPLATES: [(NoticeTemplate, &[&str]); 6] = [
        (NoticeTemplate::CertificateIssued, &["kind"]),
        (NoticeTemplate::CertificateHeld, &["kind", "cause"]),
        (NoticeTemplate::HoldLifted, &["kind", "cause"]),
        (NoticeTemplate::CertificateReleased, &["kind"]),
        (NoticeTemplate::CertificateRevoked, &["kind", "reason"]),
        (NoticeTemplate::CardRenewed, &["kind"]),
    ];

    /// A value that each argument may have.
    fn arguments(names: &[&str], kind: &str, cause: &str, reason: &str) -> BTreeMap<String, String> {
        let value = |name: &str| match name {
            "kind" => kind,
            "cause" => cause,
            "reason" => reason,
            other => panic!("an argument without a value: {other}"),
        };
        names.iter().map(|name| ((*name).to_owned(), value(name).to_owned())).collect()
    }

    fn texts(wording: &Wording) -> [(&'static str, &NoticeText); 2] {
        [("ja", &wording.japanese), ("en", &wording.english)]
    }

    #[test]
    fn every_template_is_there_in_every_language_with_every_argument() {
        let wordings = Wordings::shipped().unwrap();
        for (template, names) in TEMPLATES {
            let wording = wordings.write(template.as_str(), &arguments(names, "signature", "phone-lost", "superseded")).unwrap();
            for (language, text) in texts(&wording) {
                assert!(!text.title.is_empty() && !text.body.is_empty(), "{language} {template:?}");
                assert!(!text.body.contains(['{', '}', '$']), "{language}: {}", text.body);
            }
        }
    }

    #[test]
    fn an_argument_makes_a_difference_in_every_language() {
        let wordings = Wordings::shipped().unwrap();
        for (template, names) in TEMPLATES {
            let first = wordings.write(template.as_str(), &arguments(names, "signature", "card-held", "keyCompromise")).unwrap();
            let variants = [
                ("kind", arguments(names, "authentication", "card-held", "keyCompromise")),
                ("cause", arguments(names, "signature", "phone-lost", "keyCompromise")),
                ("reason", arguments(names, "signature", "card-held", "affiliationChanged")),
            ];
            for (name, variant) in variants.iter().filter(|(name, _)| names.contains(name)) {
                let other = wordings.write(template.as_str(), variant).unwrap();
                for ((language, text), (_, other)) in texts(&first).into_iter().zip(texts(&other)) {
                    assert_ne!(text.body, other.body, "{language} {template:?} takes no notice of {name}");
                }
            }
        }
    }

    #[test]
    fn a_missing_argument_and_an_unknown_template_are_told() {
        let wordings = Wordings::shipped().unwrap();
        for (template, names) in TEMPLATES {
            for left_out in names.iter().filter(|name| **name != "kind") {
                let mut arguments = arguments(names, "signature", "phone-lost", "superseded");
                arguments.remove(*left_out);
                assert!(wordings.write(template.as_str(), &arguments).is_err(), "{template:?} without {left_out}");
            }
        }
        assert!(wordings.write("certificate-eaten", &BTreeMap::new()).is_err());
    }
}
