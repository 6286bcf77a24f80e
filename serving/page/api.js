// The server's routes. The token is kept in memory alone, and lost when the page is left.

let token = "";

export class ApiError extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.field = error.field ?? null;
  }
}

export function useToken(value) {
  token = value;
}

/** The JSON that a route answers; ApiError with what the server says, or that it cannot be reached. */
export async function call(path, body) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, { message: "The server cannot be reached." });
  }
  let given = null;
  try {
    given = await answer.json();
  } catch {
    // what stands before a server may answer in another language than JSON
  }
  if (answer.ok && given !== null) return given;
  throw new ApiError(answer.status, given?.error ?? { message: `The server answered ${answer.status}.` });
}
