// What a shop's server sends by the unmodified npm client: node send.mjs URL WRITE_KEY WHO. The same calls as send.py.
import { Analytics } from '@segment/analytics-node'

const [host, writeKey, who] = process.argv.slice(2)
const userId = `user-${who}`
const anonymousId = `anon-${who}`
const daysAgo = (days) => new Date(Date.now() - days * 86_400_000)
const order = {
  userId,
  event: 'Order Completed',
  messageId: `order-${who}`,
  properties: { order_id: '50314b8e9bcf000000000000', products: [{ product_id: 'sencha', price: 9.5, quantity: 2 }] },
}

// Small batches, so that there are several; a batch that fails is tried again.
const analytics = new Analytics({ host, writeKey, flushAt: 3, flushInterval: 50, maxRetries: 8 })
let failed = 0
analytics.on('error', (wrong) => {
  failed += 1
  console.error(wrong.code, wrong.reason)
})

// Before he was known, while the shop's own line was down: sent now, with the time at which it happened.
analytics.page({ anonymousId, name: 'Home', properties: { path: '/' }, timestamp: daysAgo(3) })
analytics.track({
  anonymousId, event: 'Product Viewed', properties: { product_id: 'earl-grey' }, timestamp: daysAgo(2),
})
analytics.identify({ userId, anonymousId, traits: { plan: 'gold', email: `${who}@shop.example` } })
analytics.track({ userId, event: 'Product Added', properties: { product_id: 'sencha', price: 9.5, quantity: 2 } })
analytics.track(order)
analytics.track(order) // a repetition: counted once
analytics.screen({ userId, name: 'Settings' })
analytics.group({ userId, groupId: 'club', traits: { tier: 'a' } })
analytics.alias({ userId, previousId: `lead-${who}` })

await analytics.closeAndFlush({ timeout: 60_000 })
process.exit(failed ? 1 : 0)
