#!/usr/bin/env node
// Admits clients by an organizational unit of their certificate, and tells the
// target which one it was. Configuration: {"allow": ["payments"]}. The wire is
// described in sdk/FRAMES.md; no package is needed.
'use strict'
const HELLO = 1, CONFIGURE = 2, CONFIGURED = 3, REQUEST = 5, VERDICT = 8, CANCEL = 9, PING = 11, PONG = 12, GOAWAY = 13
const PROTOCOL = 1, NAME = 2, HOOK = 4, NEED = 5, OWNS = 6, CONFIG = 9
const DECISION = 16, STATUS = 17, REASON = 18, SET_HEADER = 19, TTL = 22, UNIT = 0x020b, LONGEST = 256 << 10

function field (tag, value) {
  if (typeof value === 'number') { const n = Buffer.alloc(8); n.writeUIntLE(value, 0, 6); value = n }
  const head = Buffer.alloc(6)
  head.writeUInt16LE(tag); head.writeUInt32LE(Buffer.byteLength(value), 2)
  return Buffer.concat([head, Buffer.from(value)])
}

function frame (type, id, ...fields) {
  const head = Buffer.alloc(12), body = Buffer.concat(fields)
  head.writeUInt32LE(8 + body.length); head[4] = type; head.writeUInt32LE(id, 8)
  return Buffer.concat([head, body])
}

function values (body, wanted) {
  const found = []
  for (let at = 0, end; at < body.length; at = end) {
    end = at + 6 + body.readUInt32LE(at + 2) // Throws, and so ends, if it is cut short.
    if (end > body.length) throw new Error('malformed field')
    if (body.readUInt16LE(at) === wanted) found.push(body.subarray(at + 6, end))
  }
  return found
}

function answer (type, id, body) {
  if (type === REQUEST && allow) {
    const unit = values(body, UNIT).find(unit => allow.has(unit.toString('latin1')))
    return unit
      ? frame(VERDICT, id, field(DECISION, 1), field(SET_HEADER, Buffer.concat([Buffer.from('X-Unit\0'), unit])), field(TTL, 60000))
      : frame(VERDICT, id, field(DECISION, 2), field(STATUS, 403), field(REASON, 'no unit that is allowed'))
  }
  if (type === PING) return frame(PONG, id)
  if (type === CANCEL) return Buffer.alloc(0) // Calls are answered at once.
  if (type !== CONFIGURE || allow) throw new Error('malformed frame: type ' + type)
  const units = JSON.parse(values(body, CONFIG)[0].toString() || '{}').allow || []
  allow = new Set(units.map(unit => Buffer.from(unit).toString('latin1'))) // The bytes, not the characters.
  return frame(CONFIGURED, 0)
}

let allow, buffer = Buffer.alloc(0)
const edge = new (require('net').Socket)({ fd: Number(process.env.SALLYPORT_PLUGIN_FD) })
edge.write(frame(HELLO, 0, field(PROTOCOL, 1), field(NAME, 'ou-policy'), field(HOOK, 'request'),
  field(NEED, 'cert.organizational_units'), field(OWNS, 'X-Unit')))
edge.on('end', () => process.exit())
edge.on('data', data => {
  const answers = []
  buffer = buffer.length ? Buffer.concat([buffer, data]) : data
  while (buffer.length >= 12) {
    const length = buffer.readUInt32LE(0), type = buffer[4]
    if (length < 8 || length > LONGEST || buffer.readUIntLE(5, 3) !== 0) throw new Error('malformed frame')
    if (buffer.length < 4 + length) break
    if (type === GOAWAY) return edge.end(Buffer.concat(answers), () => process.exit())
    answers.push(answer(type, buffer.readUInt32LE(8), buffer.subarray(12, 4 + length)))
    buffer = buffer.subarray(4 + length)
  }
  edge.write(Buffer.concat(answers))
})
