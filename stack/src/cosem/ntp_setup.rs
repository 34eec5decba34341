//! Class 100, NTP setup: setting the clock from a time server.

use super::{Array, Zero};

interface_class! {
    "NTP setup" = 100, versions 0..=0, methods at 0x38;
    attributes {
        /// Whether the time server is asked.
        2 Activated activated/set_activated, static: bool;
        /// Address of the server.
        3 ServerAddress server_address/set_server_address, static: &'a [u8];
        /// Port of the server: 123.
        4 ServerPort server_port/set_server_port, static: u16;
        /// How the server authenticates itself.
        5 Authentication authentication_method/set_authentication_method, static: AuthenticationMethod;
        /// The keys.
        6 AuthenticationKeys authentication_keys/set_authentication_keys, static: Array<'a, NtpKey<'a>>;
        /// Public key of the client, for autokey.
        7 ClientKey client_key/set_client_key, static: &'a [u8];
    }
    methods {
        /// Asks the server now.
        1 Synchronize synchronize: Zero;
        /// Adds a key.
        2 AddAuthenticationKey add_authentication_key: NtpKey<'a>;
        /// Removes the key with this identifier.
        3 DeleteAuthenticationKey delete_authentication_key: u32;
    }
}

structure! {
    /// A key of a time server.
    NtpKey<'a> "structure of key" {
        /// Identifier.
        key_id: u32,
        /// The key.
        key: &'a [u8],
    }
}

enumeration! {
    /// How a time server authenticates itself.
    AuthenticationMethod "authentication method" {
        /// Not at all.
        None = 0,
        /// With a shared secret.
        SharedSecret = 1,
        /// With autokey.
        AutoKey = 2,
    }
}
