from wsframe import Frame, Opcode

# The answer to a browser's opening handshake.
print(Frame.accept_key("dGhlIHNhbXBsZSBub25jZQ=="))

# A frame from a browser, and one to it.
received = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
header = Frame.parse(received)
text = Frame.unmask(received[header.header_len :], header.mask_key)
print(text.decode())
print(Frame.build(Opcode.FIN | Opcode.TEXT, text).hex())
