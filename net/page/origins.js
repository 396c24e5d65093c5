// Who a token comes from, as the protocol names them, and what a person calls them.

export const origins = {
  prompt_lookup: "prompt lookup",
  suffix: "suffix of the text",
  answers: "earlier answers",
  prediction: "prediction",
  recycling: "recycled candidates",
  draft_model: "draft model",
  grammar: "grammar",
  forced: "said for the model",
  cache: "cached answer",
};

export const origin_name = origin => origins[origin] ?? origin;
