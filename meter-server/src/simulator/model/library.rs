//! The models that are part of the program.

use super::{Model, ModelError};

/// A model file that is part of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltInModel {
    /// What it is asked for by.
    pub name: &'static str,
    /// The file.
    pub text: &'static str,
}

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(BuiltInModel { name: $name, text: include_str!(concat!("../../../models/", $name, ".toml")) }),*]
    };
}

/// All of them, the default first.
pub const MODELS: &[BuiltInModel] = built_in![
    "idis-three-phase",
    "minimal-public",
    "smr5",
    "belgium-emucs",
    "india-single-phase",
    "india-three-phase",
    "norway-aidon",
    "norway-kaifa",
    "norway-kamstrup",
    "austria-kaifa",
    "switzerland-landis-gyr",
    "switzerland-iskraemeco",
    "short-names",
    "prepayment",
];

impl BuiltInModel {
    /// The model with a name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        MODELS.iter().find(|model| model.name == name)
    }

    /// The model, compiled.
    ///
    /// # Errors
    /// Never: a test compiles them all.
    pub fn model(&self) -> Result<Model, ModelError> {
        Model::from_toml(self.text)
    }
}
