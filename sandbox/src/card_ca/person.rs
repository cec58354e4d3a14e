//! Invented holders.

use chrono::{Datelike as _, Duration, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::keys::{KeyFault, random_below};

/// Where a holder lives; the registration desk that hands out the card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Municipality {
    /// Romanised, as in the subject: `Tokyo-to`.
    pub prefecture: String,
    /// Romanised: `Mitaka-shi`.
    pub city: String,
    /// Both, in Japanese, as an address begins.
    pub in_japanese: String,
    /// The five-digit code of local governments.
    pub code: String,
}

/// Municipalities to choose from: prefecture, city, in Japanese, code.
pub const MUNICIPALITIES: [(&str, &str, &str, &str); 6] = [
    ("Tokyo-to", "Mitaka-shi", "東京都三鷹市", "13204"),
    ("Tokyo-to", "Chiyoda-ku", "東京都千代田区", "13101"),
    ("Osaka-fu", "Sakai-shi", "大阪府堺市", "27140"),
    ("Hokkaido", "Hakodate-shi", "北海道函館市", "01202"),
    ("Fukuoka-ken", "Kurume-shi", "福岡県久留米市", "40203"),
    ("Nagano-ken", "Matsumoto-shi", "長野県松本市", "20202"),
];

/// Sex as JPKI encodes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    /// Code 1.
    Male,
    /// Code 2.
    Female,
    /// Code 3.
    Unknown,
}

impl Sex {
    /// The digit in the certificate.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Male => "1",
            Self::Female => "2",
            Self::Unknown => "3",
        }
    }
}

/// A holder's basic attributes (基本4情報).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Name.
    pub name: String,
    /// Birth date.
    pub birth_date: NaiveDate,
    /// Sex.
    pub sex: Sex,
    /// Address.
    pub address: String,
    /// Municipality of the address.
    pub municipality: Municipality,
}

const SURNAMES: [&str; 10] = ["見本", "架空", "試験", "仮田", "例沢", "標本", "想定", "雛形", "模擬", "演習"];
const GIVEN_NAMES: [(&str, Sex); 10] = [
    ("花子", Sex::Female),
    ("太郎", Sex::Male),
    ("さくら", Sex::Female),
    ("健一", Sex::Male),
    ("美咲", Sex::Female),
    ("翔", Sex::Male),
    ("陽子", Sex::Female),
    ("次郎", Sex::Male),
    ("葵", Sex::Female),
    ("蓮", Sex::Male),
];

impl Municipality {
    /// One of [`MUNICIPALITIES`].
    pub fn any() -> Result<Self, KeyFault> {
        let (prefecture, city, in_japanese, code) = MUNICIPALITIES[random_below(MUNICIPALITIES.len())?];
        Ok(Self { prefecture: prefecture.to_owned(), city: city.to_owned(), in_japanese: in_japanese.to_owned(), code: code.to_owned() })
    }

    /// The municipality of that name, or one made up for it.
    pub fn named(prefecture: &str, city: &str) -> Self {
        let known = MUNICIPALITIES.iter().find(|known| known.0 == prefecture && known.1 == city);
        let (in_japanese, code) = known.map_or_else(|| (format!("{prefecture}{city}"), "99999"), |known| (known.2.to_owned(), known.3));
        Self { prefecture: prefecture.to_owned(), city: city.to_owned(), in_japanese, code: code.to_owned() }
    }
}

impl Person {
    /// Somebody who does not exist, aged 20 to 80, living at a place that does not exist in that municipality.
    pub fn invented(municipality: Municipality) -> Result<Self, KeyFault> {
        let surname = SURNAMES[random_below(SURNAMES.len())?];
        let (given_name, sex) = GIVEN_NAMES[random_below(GIVEN_NAMES.len())?];
        let age_in_days = 20 * 366 + i64::try_from(random_below(60 * 365)?).unwrap_or(0);
        let street = format!("架空町{}丁目{}番{}号", 1 + random_below(9)?, 1 + random_below(40)?, 1 + random_below(20)?);
        Ok(Self {
            name: format!("{surname}　{given_name}"),
            birth_date: Utc::now().date_naive() - Duration::days(age_in_days),
            sex,
            address: format!("{}{street}", municipality.in_japanese),
            municipality,
        })
    }

    /// `EYYYYMMDD`: the era (1 Meiji to 5 Reiwa) and the Gregorian date.
    pub fn encoded_birth_date(&self) -> String {
        let date = self.birth_date;
        let era = match (date.year(), date.month(), date.day()) {
            first if first >= (2019, 5, 1) => 5,
            first if first >= (1989, 1, 8) => 4,
            first if first >= (1926, 12, 25) => 3,
            first if first >= (1912, 7, 30) => 2,
            _ => 1,
        };
        format!("{era}{}", date.format("%Y%m%d"))
    }
}
