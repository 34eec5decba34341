//! Class 46, SMTP setup: sending e-mail.

interface_class! {
    "SMTP setup" = 46, versions 0..=0;
    attributes {
        /// Port of the server: 25.
        2 ServerPort server_port/set_server_port, static: u16;
        /// Name of the user at the server.
        3 UserName user_name/set_user_name, static: &'a [u8];
        /// Password of the user.
        4 LoginPassword login_password/set_login_password, static: &'a [u8];
        /// Address of the server.
        5 ServerAddress server_address/set_server_address, static: &'a [u8];
        /// Address that the meter sends from.
        6 SenderAddress sender_address/set_sender_address, static: &'a [u8];
    }
    methods {}
}
