//! What the fleet gets: configurations with opened secrets, counters, models.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dlms::{
    id::{ClientSap, ServerSap, SystemTitle},
    obis::ObisCode,
};

use super::Registry;
use crate::{
    meter::{
        Authentication, Ciphering, CounterId, GatewaySettings, HlsDigest, KeyRotation, Mechanism, MeterConfig, MeterId,
        MeterKeys, MeterSettings, Secret, SecuritySettings, TimeoutSettings, Timeouts,
    },
    operation::{CounterBlock, Layer, MeterDirectory, ObjectModel, ProfileLayout, RequestError, RequestErrorKind},
    store::{Store, StoreError, StoredMeter},
    vault::{SecretRole, Vault},
};

impl<S: Store> Registry<S> {
    /// A meter with the keys to try first, and those to try then where it is not known which it has.
    async fn config(&self, stored: StoredMeter) -> Result<MeterConfig, RequestError> {
        let Some(new) = self.store.new_keys(&stored.record.id).await? else { return self.resolve(stored) };
        let mut renewed = stored.clone();
        renewed.secrets.extend(new.sealed);
        let (active, new_config) = (self.resolve(stored)?, self.resolve(renewed)?);
        let (mut first, other) = if new.confirmed { (new_config, active) } else { (active, new_config) };
        first.rotation =
            Some(KeyRotation { id: new.rotation.into(), other: Arc::new(other), other_is_new: !new.confirmed });
        Ok(first)
    }

    pub(super) fn resolve(&self, stored: StoredMeter) -> Result<MeterConfig, RequestError> {
        let StoredMeter { record, secrets } = stored;
        let id = record.id;
        let mut opened = BTreeMap::new();
        // No session needs the others.
        let used = |role: SecretRole| {
            matches!(role, SecretRole::EncryptionKey | SecretRole::AuthenticationKey | SecretRole::Password)
        };
        for (role, sealed) in secrets.iter().filter(|(role, _)| used(**role)) {
            let secret = self.vault.open(&id, *role, sealed).map_err(|error| {
                RequestError::new(
                    RequestErrorKind::Store,
                    Layer::Store,
                    format!("the {} of the meter: {error}", role.name()),
                )
                .with_meter(&id)
                .with_source(error)
            })?;
            opened.insert(*role, secret);
        }
        let mut take = |role: SecretRole| {
            opened.remove(&role).ok_or_else(|| {
                let message = format!("the meter has no {}", role.name());
                RequestError::new(RequestErrorKind::InvalidRequest, Layer::HeadEnd, message).with_meter(&id)
            })
        };
        let mut settings = record.settings;
        let client_title = settings.security.and_then(|security| security.client_title).unwrap_or(self.title);
        let digest = |digest, secret| Authentication::HlsDigest { digest, secret, client_title };
        let authentication = match settings.mechanism {
            Mechanism::None => Authentication::None,
            Mechanism::Lls => Authentication::Lls { password: take(SecretRole::Password)? },
            Mechanism::HlsGmac => Authentication::HlsGmac,
            Mechanism::HlsMd5 => digest(HlsDigest::Md5, take(SecretRole::Password)?),
            Mechanism::HlsSha1 => digest(HlsDigest::Sha1, take(SecretRole::Password)?),
            Mechanism::HlsSha256 => digest(HlsDigest::Sha256, take(SecretRole::Password)?),
            Mechanism::HlsEcdsa => {
                let (authentication, title) = self.ecdsa(&settings, client_title).map_err(|e| e.with_meter(&id))?;
                settings.system_title = Some(title);
                authentication
            }
        };
        let ciphering = settings.security.map(|security| self.ciphering(&security, client_title, take)).transpose()?;
        Ok(MeterConfig {
            id,
            revision: record.revision,
            link: settings.link,
            client: ClientSap(settings.client_sap),
            server: ServerSap(settings.server_sap),
            authentication,
            ciphering,
            meter_title: settings.system_title,
            time: settings.time_policy,
            route: (!settings.route.is_empty()).then(|| settings.route.into()),
            timeouts: settings.timeouts.over(self.timeouts),
            max_pdu: settings.max_pdu,
            rotation: None,
            gateway: settings.gateway.as_ref().and_then(GatewaySettings::route),
        })
    }

    /// Our key and the meter's for HLS-ECDSA, and the title that its certificate is for. The certificate is looked at
    /// each time: it may have expired, and its authority may not be believed any more.
    fn ecdsa(
        &self,
        settings: &MeterSettings,
        client_title: SystemTitle,
    ) -> Result<(Authentication, SystemTitle), RequestError> {
        let refused = |reason: &dyn std::fmt::Display| {
            let message = format!("the meter's certificate is not believed: {reason}");
            RequestError::new(RequestErrorKind::SecurityFailed, Layer::Security, message)
        };
        let verified = self.anchors.verify(&settings.certificate, settings.system_title);
        let verified = verified.map_err(|error| refused(&error).with_source(error))?;
        let own = self.signing.of(verified.suite).ok_or_else(|| refused(&"suite 0 has no signatures"))?.clone();
        Ok((Authentication::HlsEcdsa { own, meter: verified.key, client_title }, verified.title))
    }

    fn ciphering(
        &self,
        security: &SecuritySettings,
        client_title: SystemTitle,
        mut take: impl FnMut(SecretRole) -> Result<Secret, RequestError>,
    ) -> Result<Ciphering, RequestError> {
        let encryption = take(SecretRole::EncryptionKey)?;
        let counter = Vault::counter_id(&client_title, &encryption);
        Ok(Ciphering {
            suite: security.suite,
            policy: security.policy,
            envelope: security.envelope,
            dedicated_key: security.dedicated_key,
            client_title,
            keys: MeterKeys { encryption, authentication: take(SecretRole::AuthenticationKey)? },
            counter,
        })
    }
}

impl TimeoutSettings {
    /// These timeouts, and those of `defaults` where nothing is set.
    fn over(self, defaults: Timeouts) -> Timeouts {
        let or = |own: Option<u64>, default| own.map_or(default, Duration::from_millis);
        Timeouts {
            connect: or(self.connect_ms, defaults.connect),
            response: or(self.response_ms, defaults.response),
            idle: or(self.idle_ms, defaults.idle),
            inter_octet: or(self.inter_octet_ms, defaults.inter_octet),
        }
    }
}

impl<S: Store> MeterDirectory for Registry<S> {
    async fn meter(&self, meter: &MeterId) -> Result<Arc<MeterConfig>, RequestError> {
        let stored = self.store.meter(meter).await.map_err(|error| RequestError::from(error).with_meter(meter))?;
        let stored =
            stored.ok_or_else(|| RequestError::from(StoreError::NotFound(meter.resource_name())).with_meter(meter))?;
        self.config(stored).await.map(Arc::new).map_err(|error| error.with_meter(meter))
    }

    async fn keys_proved(&self, meter: &MeterId, rotation: &str) -> Result<(), RequestError> {
        self.promote_keys(meter, rotation).await?;
        Ok(())
    }

    async fn reserve_counters(&self, counter: CounterId) -> Result<CounterBlock, RequestError> {
        Ok(self.store.reserve_counters(counter).await?)
    }

    async fn raise_counter(&self, counter: CounterId, seen: u32) -> Result<(), RequestError> {
        Ok(self.store.raise_counter(counter, seen).await?)
    }

    async fn object_model(&self, meter: &MeterId) -> Result<Option<Arc<ObjectModel>>, RequestError> {
        Ok(self.store.object_model(meter).await?.map(Arc::new))
    }

    async fn save_object_model(&self, meter: &MeterId, model: Arc<ObjectModel>) -> Result<(), RequestError> {
        Ok(self.store.save_object_model(meter, model).await?)
    }

    async fn profile_layout(
        &self,
        meter: &MeterId,
        profile: ObisCode,
    ) -> Result<Option<Arc<ProfileLayout>>, RequestError> {
        Ok(self.store.profile_layout(meter, profile).await?.map(Arc::new))
    }

    async fn save_profile_layout(&self, meter: &MeterId, layout: Arc<ProfileLayout>) -> Result<(), RequestError> {
        Ok(self.store.save_profile_layout(meter, layout).await?)
    }
}
