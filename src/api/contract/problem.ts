import { z } from "zod";

/** RFC 9457. Every answer that is not a success has this shape and the type application/problem+json. */
export const problemSchema = z
  .object({
    type: z.string().describe("Names the kind of problem; the same kind has the same name for ever"),
    title: z.string().describe("The kind of problem, for people"),
    status: z.number().int(),
    detail: z.string().describe("What was wrong this time and what to do about it"),
    instance: z.string().describe("Path of the request"),
    requestId: z.string().describe("Names this request in our logs"),
    errors: z
      .array(
        z.object({
          pointer: z.string().describe("JSON pointer to what is wrong: /body/quantity"),
          detail: z.string(),
        }),
      )
      .optional(),
  })
  .meta({ id: "Problem" });

export type ProblemBody = z.output<typeof problemSchema>;

/** For a route's `response`: whatever is not listed beside it. */
export const problemResponse = {
  description: "The request could not be handled; the problem says why",
  content: { "application/problem+json": { schema: problemSchema } },
};
