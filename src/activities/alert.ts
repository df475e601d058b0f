import { ApplicationFailure } from "@temporalio/activity";
import { crashPoint } from "../crash-points.ts";
import {
  type ClaimedDelivery,
  claimDelivery,
  endDelivery,
  findWaitingDeliveries,
  type LockedAlert,
  lockAlert,
  noteDeliveryFailure,
  planStep,
  saveRecommendation,
  wakeAlert,
} from "../db/alert-deliveries.ts";
import { findAddresses, findManagers, getAlertSettings } from "../db/notification-preferences.ts";
import { type TenantTransaction, withTenant } from "../db/tenant.ts";
import { nextStep } from "../domain/alert/escalation.ts";
import { messageOf } from "../domain/alert/message.ts";
import { noticesFor } from "../domain/alert/recipients.ts";
import type { AlertDeliveryId, AlertId, TenantId } from "../domain/ids.ts";
import { MessageFailure } from "../integrations/ports/messages.ts";
import type { ActivityDependencies } from "./dependencies.ts";

/** What the alert's workflow does next. */
export interface AlertProgress {
  /** Messages to send; those that it sends already are among them. */
  readonly deliveries: readonly AlertDeliveryId[];
  /** Milliseconds after which to look again without being told; null: never. */
  readonly lookAgainIn: number | null;
  /** For operators. */
  readonly details: string;
}

interface AlertKey {
  readonly tenantId: TenantId;
  readonly alertId: AlertId;
}

/** Milliseconds that a message to somebody who has got very many waits. */
const laterMilliseconds = 300_000;

export function createAlertActivities({ db, logger, alerting }: ActivityDependencies) {
  const { mailer, texter, secretKey, engineeringEmail, lowStockAlerts } = alerting;

  /** Takes every step whose time has come. */
  async function advance(
    transaction: TenantTransaction,
    alertId: AlertId,
    timeScale: number,
  ): Promise<{ readonly lookAgainIn: number | null; readonly details: string }> {
    // Waking leads to telling, telling to waiting or to the end.
    for (let step = 0; step < 4; step += 1) {
      const alert = await lockAlert(transaction, alertId);
      if (alert === null) return { lookAgainIn: null, details: "There is no such alert." };
      const { state } = alert.unanswered;
      if (alert.kind === "low_stock" && !lowStockAlerts)
        return { lookAgainIn: null, details: "Low-stock alerts are switched off." };
      const next = nextStep(alert.unanswered, alert.now, timeScale);
      switch (next.step) {
        case "tell":
          await tell(transaction, alert, next.rung);
          break;
        case "wake":
          await wakeAlert(transaction, alertId);
          break;
        case "wait":
          return {
            lookAgainIn: next.milliseconds,
            details: `**${alert.kind}** is ${state}. Looked at again ${new Date(alert.now + next.milliseconds).toISOString()}.`,
          };
        case "end":
          return { lookAgainIn: null, details: `**${alert.kind}** is ${state}. Nobody is told any more.` };
      }
    }
    throw new Error(`Alert ${alertId} goes round in circles`);
  }

  async function tell(transaction: TenantTransaction, alert: LockedAlert, rung: number): Promise<void> {
    const aboutStock = alert.kind === "low_stock" || alert.kind === "out_of_stock";
    if (aboutStock && !alert.hasRecommendation)
      await saveRecommendation(transaction, alert.alertId, alert.skuId);
    const { smsAllowed } = await getAlertSettings(transaction);
    const managers = await findManagers(transaction, alert.kind);
    await planStep(transaction, alert, rung, noticesFor(alert.kind, rung, managers, smsAllowed));
  }

  /** @returns why it cannot be sent, or null once it is. */
  async function send(
    tenantId: TenantId,
    deliveryId: AlertDeliveryId,
    delivery: ClaimedDelivery,
  ): Promise<string | null> {
    const { userId } = delivery;
    const place = await withTenant(db, tenantId, async (transaction) => {
      if (userId !== null) return await findAddresses(transaction, tenantId, userId, secretKey);
      const email = (await getAlertSettings(transaction)).engineeringEmail ?? engineeringEmail;
      return email === null ? null : { email, phone: null, disabled: false };
    });
    if (place === null) {
      logger.error({ tenantId, alertId: delivery.alertId, kind: delivery.kind }, noEngineering);
      return noEngineering;
    }
    if (place.disabled) return "The user has been disabled";
    const message = messageOf(delivery);
    if (delivery.medium === "email") {
      const { subject, paragraphs } = message;
      await mailer.send({ to: place.email, subject, paragraphs, messageId: deliveryId });
      return null;
    }
    if (place.phone === null) return "The user has no phone number any more";
    await texter.send({ to: place.phone, body: message.short, messageId: deliveryId });
    return null;
  }

  return {
    /** Decides what to do about an alert now, writes the messages down that follow, and says what is to be sent. */
    async advanceAlert({
      tenantId,
      alertId,
      timeScale,
    }: AlertKey & { readonly timeScale: number }): Promise<AlertProgress> {
      const progress = await withTenant(db, tenantId, async (transaction) => {
        const { lookAgainIn, details } = await advance(transaction, alertId, timeScale);
        const deliveries = await findWaitingDeliveries(transaction, alertId);
        crashPoint("alert: step planned, not committed");
        return { deliveries, lookAgainIn, details };
      });
      crashPoint("alert: step planned, nothing sent");
      return progress;
    },

    /**
     * Sends one message. Written down before and after: a crash in between sends it a second time, under the same message
     * id, and never loses it.
     */
    async sendAlertDelivery({
      tenantId,
      deliveryId,
    }: {
      readonly tenantId: TenantId;
      readonly deliveryId: AlertDeliveryId;
    }): Promise<void> {
      const inTenant = <Result>(work: (transaction: TenantTransaction) => Promise<Result>) =>
        withTenant(db, tenantId, work);
      const delivery = await inTenant((transaction) => claimDelivery(transaction, deliveryId));
      if (delivery === "ended") return;
      if (delivery === "later") {
        throw ApplicationFailure.create({
          type: "message_limit",
          message: "The person has got very many messages within an hour",
          nextRetryDelay: laterMilliseconds,
        });
      }
      crashPoint("alert: message claimed, not sent");
      let obstacle: string | null;
      try {
        obstacle = await send(tenantId, deliveryId, delivery);
      } catch (error) {
        if (!(error instanceof MessageFailure)) throw error;
        if (error.kind === "unavailable") {
          await inTenant((transaction) => noteDeliveryFailure(transaction, deliveryId, error.message));
          throw ApplicationFailure.create({ type: "message_unavailable", message: error.message });
        }
        obstacle = error.message;
      }
      crashPoint("alert: message sent, not marked");
      await inTenant((transaction) =>
        endDelivery(transaction, deliveryId, obstacle === null ? "sent" : "given_up", obstacle),
      );
      if (obstacle !== null) {
        logger.warn(
          { tenantId, alertId: delivery.alertId, deliveryId, reason: obstacle },
          "A message is given up",
        );
      }
      crashPoint("alert: message marked, not answered");
    },
  };
}

const noEngineering = "No engineering address is set (ENGINEERING_EMAIL)";
