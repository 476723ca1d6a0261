import { createServer, type Server } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../peers/clock/index.ts'
import {
  type BootstrapState,
  createHost,
  dialRemembered,
  type Host,
  HostError,
  keepBootstrapped,
} from '../../peers/host/index.ts'
import { createEphemeralIdentity } from '../../peers/identity/index.ts'

const log = { debug() {}, info() {}, warn() {} }
const open: { stop(): unknown }[] = []
test.after.each(async () => {
  for (const one of open.splice(0).reverse()) await one.stop()
})

const host = async (listen = ['/ip4/127.0.0.1/tcp/0']): Promise<Host> => {
  const { privateKey } = await createEphemeralIdentity()
  const created = await createHost({ privateKey, listen })
  open.push(created)
  return created
}

/** Bootstraps `from`; `until` resolves with the states as soon as they satisfy a condition. */
const bootstrap = (from: Host, multiaddrs: string[]) => {
  const waiting: {
    condition: (state: BootstrapState) => boolean
    resolve: (state: BootstrapState) => void
  }[] = []
  const check = () => {
    const [state] = kept.states()
    for (const { condition, resolve } of waiting) if (state !== undefined && condition(state)) resolve(state)
  }
  const kept = keepBootstrapped(from, {
    multiaddrs,
    clock: systemClock,
    random: () => 0.5,
    log,
    onChange: check,
  })
  open.push(kept)
  const until = (condition: (state: BootstrapState) => boolean) =>
    new Promise<BootstrapState>((resolve) => {
      waiting.push({ condition, resolve })
      check()
    })
  return { kept, until }
}

test('a port in use is told with its number and what to do, and nothing keeps running', async () => {
  const server = await listening()
  const port = portOf(server)
  const error = await hostErrorOf(host([`/ip4/127.0.0.1/tcp/${port}`]))
  server.close()
  assert.is(error.code, 'port-in-use')
  assert.ok(error.message.includes(String(port)), error.message)
})

test('an address that is not of this machine can not be listened on', async () => {
  assert.is((await hostErrorOf(host(['/ip4/203.0.113.1/tcp/0']))).code, 'cannot-listen')
})

test('an address that is none, or not TCP, is refused at the start', async () => {
  for (const address of [
    '',
    'localhost:4001',
    '/ip4/127.0.0.1',
    '/ip4/127.0.0.1/udp/1/quic-v1',
    '/ip4/1.2.3.4/tcp/1/ws',
  ]) {
    assert.is((await hostErrorOf(host([address]))).code, 'invalid-multiaddr', address)
  }
  const client = await host([])
  for (const address of ['nonsense', '/ip4/127.0.0.1/udp/1']) {
    assert.throws(
      () => bootstrap(client, [address]),
      (error: unknown) => error instanceof HostError && error.code === 'invalid-multiaddr',
      address,
    )
  }
})

test('connections are encrypted by TLS and carry yamux', async () => {
  const [left, right] = await Promise.all([host(), host()])
  const connection = await left.dial(right.getMultiaddrs())
  assert.is(connection.encryption, '/tls/1.0.0')
  assert.match(connection.multiplexer ?? '', 'yamux')
})

test('a bootstrap that can not be reached is told, tried again, and used once it appears; and again when it came back', async () => {
  const server = await listening()
  const port = portOf(server)
  await new Promise((resolve) => server.close(resolve))
  const client = await host([])
  const { until } = bootstrap(client, [`/ip4/127.0.0.1/tcp/${port}`])

  const failed = await until(({ error }) => error !== undefined)
  assert.not(failed.connected)
  assert.match(failed.error ?? '', 'ECONNREFUSED')
  assert.ok((failed.nextTryAtMs ?? 0) > 0)

  const late = await host([`/ip4/127.0.0.1/tcp/${port}`])
  const connected = await until((state) => state.connected)
  assert.is(connected.error, undefined)
  assert.is(connected.nextTryAtMs, undefined)

  await late.stop()
  await until((state) => !state.connected)
  await host([`/ip4/127.0.0.1/tcp/${port}`])
  await until((state) => state.connected)
})

test('a node that is its own bootstrap dials nobody and complains about nothing', async () => {
  const self = await host()
  const state = await bootstrap(self, self.getMultiaddrs().map(String)).until(({ connected }) => connected)
  assert.is(state.error, undefined)
  assert.is(self.getConnections().length, 0)
})

test('stopping ends every attempt', async () => {
  const client = await host([])
  const { kept, until } = bootstrap(client, ['/ip4/127.0.0.1/tcp/1'])
  await until(({ error }) => error !== undefined)
  kept.stop()
  await client.stop()
})

test('remembered peers are dialled until enough have answered, and one that is gone hinders nobody', async () => {
  const [gone, first, second, client] = await Promise.all([host(), host(), host(), host([])])
  const remembered = [gone, first, second].map((peer) => ({
    peerId: peer.peerId,
    multiaddrs: peer.getMultiaddrs(),
  }))
  await gone.stop()
  const signal = AbortSignal.timeout(5_000)
  assert.is(await dialRemembered(client, remembered, { enough: 2, log, signal }), 2)
})

test('a short-lived client stores no records for others', async () => {
  const { privateKey } = await createEphemeralIdentity()
  const client = await createHost({ privateKey, listen: [], dht: 'client' })
  open.push(client)
  assert.is(client.services.dht.getMode(), 'client')
  assert.is((await host()).services.dht.getMode(), 'server')
})

function listening(): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => resolve(server))
  })
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function hostErrorOf(promise: Promise<unknown>): Promise<HostError> {
  try {
    await promise
  } catch (error) {
    assert.instance(error, HostError)
    return error as HostError
  }
  return assert.unreachable('nothing was thrown') as never
}

test.run()
